#pragma once
// RUN/start.json: where the newest attempt of a run began and with which configuration, so that
// what it reads is known before (and without) its first checkpoint. Local: one rank writes it.
// Errors: std::invalid_argument naming file and field; std::system_error with the path.
#include <filesystem>
#include <optional>
#include <string>

#include "trainer/train_state.h"

namespace phalanx {

struct AttemptStart {
  std::string config_yaml;  // resolved
  TrainState state;         // its cursor is where the attempt goes on, in the segment it reads
};

/// Replaces the file of an earlier attempt in one step.
void save_attempt_start(const std::filesystem::path& run_folder, const AttemptStart& start);
/// Nothing if the folder has no such file.
[[nodiscard]] std::optional<AttemptStart> load_attempt_start(
    const std::filesystem::path& run_folder);

/// What `state`, saved with `config_yaml`, must remember of configurations once the run goes on
/// with a ledger of `num_segments`.
[[nodiscard]] std::vector<std::string> past_configs_for(const TrainState& state,
                                                        const std::string& config_yaml,
                                                        size_t num_segments);

}  // namespace phalanx
