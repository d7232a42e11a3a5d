#pragma once
// The folder `checkpoints/` of a run: which checkpoints are there, which one to resume from, which
// ones to delete.
//
// list_, clean_ and prune_ are local (one rank calls them); find_checkpoint and verify_checkpoint
// are collective over `control`, a host communicator of all ranks. Nothing prints: notes are for
// the caller. A folder NAME.tmp or anything in .trash was never or is no longer a checkpoint.
// Errors: std::system_error with the path.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "parallel/communicator.h"
#include "trainer/run_config.h"

namespace phalanx {

struct CheckpointEntry {
  std::filesystem::path path;
  int64_t step = 0;
};

/// "step-000100" in `folder`.
[[nodiscard]] std::filesystem::path checkpoint_path(const std::filesystem::path& folder,
                                                    int64_t step);

/// Oldest first, valid or not; none when the folder does not exist.
[[nodiscard]] std::vector<CheckpointEntry> list_checkpoints(const std::filesystem::path& folder);

struct FoundCheckpoint {
  std::optional<std::filesystem::path> path;  // the newest valid one
  std::vector<std::string> notes;             // what is wrong with each newer one
};

/// Reads and hashes every block, each rank a part of them. A caller that gets notes but no path
/// should not start anew without being told to.
[[nodiscard]] FoundCheckpoint find_checkpoint(const std::filesystem::path& folder,
                                              Communicator& control);

/// What is wrong with the checkpoint, empty if nothing. The same on all ranks.
[[nodiscard]] std::string verify_checkpoint(const std::filesystem::path& path,
                                            Communicator& control);

/// Removes what an interrupted save or deletion left behind. For the start of a run.
void clean_checkpoints(const std::filesystem::path& folder);

struct Retention {
  int64_t keep_last = 3;               // the newest complete ones; 0: all
  Duration keep_every;                 // the first at or past each multiple, for ever; 0: none
  std::filesystem::path resumed_from;  // never deleted; may be empty
};

/// Deletes what `retention` leaves over. Call only after the newest one has been verified.
void prune_checkpoints(const std::filesystem::path& folder, const Retention& retention);

/// Moves a checkpoint into .trash, in one step, and returns its new place.
std::filesystem::path move_to_trash(const std::filesystem::path& path);

}  // namespace phalanx
