#pragma once
// Where a run begins: anew, at a checkpoint of its own (resume), or at one of another run (fork).
// choose_checkpoint() is collective over the session's ranks; the others are local and belong
// inside together(), since each rank reads the checkpoint by itself.
// Errors: std::invalid_argument naming the checkpoint or field; AgreedError of choose_checkpoint().
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "configs/read_config.h"
#include "parallel/session.h"
#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/run_data.h"
#include "trainer/train_state.h"

namespace phalanx {

struct RunStart {
  std::filesystem::path resumed_from;            // empty: a new run
  std::unique_ptr<CheckpointReader> checkpoint;  // of the weights; null: new ones
  bool moments = true;                           // Adam's, from the checkpoint too
  TrainState state;                              // at the first step to come
  std::optional<Cursor> ledger;                  // of a fork: what its parent's sources have given
  std::string notes;                             // lines for a person

  bool new_weights() const { return checkpoint == nullptr; }
};

/// The checkpoint that --resume (none, auto or a path) means; an empty path: none.
struct ChosenCheckpoint {
  std::filesystem::path path;
  std::string notes;  // which, and what becomes of later ones; empty with `none`
};
/// Rank 0 prints what was passed over.
ChosenCheckpoint choose_checkpoint(const std::string& resume,
                                   const std::filesystem::path& run_folder, Session& session);

/// What model.init_from names must open and be this model, before anything is planned. A stage may
/// turn heads by another base than its starting weights did (midtraining does), but not unsaid.
std::string first_weights_notes(const RunConfig& config);

RunStart open_run_start(const std::filesystem::path& checkpoint, const ResolvedConfig& config);

/// The plan from there on; start.state gets its cursor and the lists of masked documents. A resumed
/// run passes over its next `num_skipped` steps (a loss spike): tokens, rate and ledger go on,
/// weights and Adam's count stay. One step at least must be left.
PlannedRun plan_run(const RunConfig& config, const RunData& data, int64_t num_skipped,
                    RunStart& start);

}  // namespace phalanx
