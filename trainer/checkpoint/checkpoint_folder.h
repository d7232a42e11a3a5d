#pragma once
// The folder `checkpoints/` of a run: which checkpoints are there, which one to resume from, which
// ones to delete.
//
// find_checkpoint and verify_checkpoint are collective over `control`, a host communicator of all
// ranks; the others are local (one rank calls them). Nothing prints: notes are for the caller.
//
// A folder NAME.tmp or anything in .trash was never or is no longer a checkpoint. step-N.old is one
// whose replacement was cut short; it gets its name back. abandoned-N is one of a branch that the
// run left when it was resumed from an earlier step: whole, but never chosen and never deleted.
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
/// should not start anew without being told to. Takes back an interrupted replacement first.
[[nodiscard]] FoundCheckpoint find_checkpoint(const std::filesystem::path& folder,
                                              Communicator& control);

/// What is wrong with the checkpoint, empty if nothing. The same on all ranks.
[[nodiscard]] std::string verify_checkpoint(const std::filesystem::path& path,
                                            Communicator& control);

/// Removes what an interrupted save or deletion left behind, and takes back an interrupted
/// replacement. For the start of a run.
void clean_checkpoints(const std::filesystem::path& folder);

struct Retention {
  int64_t keep_last = 3;               // the newest complete ones; 0: all
  Duration keep_every;                 // the first at or past each multiple, for ever; 0: none
  std::filesystem::path resumed_from;  // never deleted; may be empty
};

/// Deletes what `retention` leaves over of the steps up to `newest`, the one just committed and
/// verified. It is always kept, and counts as the first of keep_last.
void prune_checkpoints(const std::filesystem::path& folder, int64_t newest,
                       const Retention& retention);

/// Renames every checkpoint of a step after `branch_step`, but that of `step`, to abandoned-N
/// (abandoned-N.2 if there is one). Call once `step` has been verified: the others then belong to
/// another branch of the run.
void set_aside_others(const std::filesystem::path& folder, int64_t step, int64_t branch_step);

/// Exchanges the checkpoint `path` and its staging folder, both there. A power cut at any moment
/// leaves one of them under the name `path`, or as step-N.old where the file system cannot
/// exchange.
void swap_with_staging(const std::filesystem::path& path);

}  // namespace phalanx
