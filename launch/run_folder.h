#pragma once
// The folder of a run, taken for one start of it. Local: the first rank's.
// Errors: std::invalid_argument when another start is at work there; std::system_error.
#include <filesystem>
#include <string>

#include "data/file_lock.h"
#include "trainer/train_state.h"

namespace phalanx {

/// Makes the folder if need be, clears away what an earlier start left half done, and writes
/// config.yaml and start.json; `state` gets its attempt. The lock is to be held to the end: two
/// starts at a time would set each other's checkpoints aside. It says who holds it (process, host,
/// since when, Slurm's job), and so does the error.
[[nodiscard]] FileLock take_run_folder(const std::filesystem::path& run_folder,
                                       const std::string& config_yaml, TrainState& state);

}  // namespace phalanx
