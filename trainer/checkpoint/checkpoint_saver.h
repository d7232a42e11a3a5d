#pragma once
// Saves a run so that it lasts, while the run goes on: whatever fails or whenever the power goes,
// the checkpoint is there whole or not there at all, and the earlier ones stay as they were.
//
// Each rank writes its file, reads it back and describes it on a thread of its own; once all have,
// the first rank commits on its thread. The threads know no other rank and no device: ranks learn
// of each other by flags(), which a run puts into the reduction that it makes before each step
// anyway, and act on in advance(), all at the same step.
//
// Collective over `control`, a host communicator of all ranks: advance() and finish(), every rank,
// same order; start() is local, at the same step of all ranks. Ownership: refers to Mesh and
// control; the shares must stay as they are until the save has ended. Errors: a save that fails is
// a value, the same on all ranks; what it wrote is removed, or left as a .tmp folder that
// clean_checkpoints() removes. So does one whose threads get no memory; where the caller's own
// thread gets none, as for the parts of all ranks, std::bad_alloc leaves this rank alone.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "parallel/communicator.h"
#include "parallel/exit_codes.h"
#include "parallel/mesh.h"
#include "trainer/checkpoint/background_task.h"
#include "trainer/checkpoint/checkpoint_writer.h"

namespace phalanx {

/// Of one rank; or of all, as the maximum of each.
struct SaveFlags {
  bool busy = false;
  bool failed = false;
};

struct SaveResult {
  std::filesystem::path path;
  int64_t step = 0;
  std::string error;  // empty: saved. One message, each distinct one of the ranks once
  ExitCode code = ExitCode::kDone;
};

class CheckpointSaver {
 public:
  CheckpointSaver(CheckpointPlace place, const Mesh& mesh, Communicator& control);

  /// Begins to save. A checkpoint of the same step is replaced, in one step. Precondition: not
  /// running(). `gently`: the run goes on meanwhile, so take only the processor time that it
  /// leaves.
  void start(CheckpointContents contents, bool gently);
  [[nodiscard]] bool running() const { return phase_ != Phase::kIdle; }

  [[nodiscard]] SaveFlags flags() const;
  /// Goes on where all ranks are ready to, by the maximum of their flags. A result when the save
  /// has ended.
  [[nodiscard]] std::optional<SaveResult> advance(SaveFlags agreed);
  /// Waits until the save under way has ended. Precondition: running().
  [[nodiscard]] SaveResult finish();

 private:
  enum class Phase { kIdle, kWriting, kCommitting, kCleaning };

  void run(Phase phase, std::function<void()> work);
  void begin_commit();
  void commit(const std::vector<std::string>& parts);
  void begin_cleaning();
  SaveResult ended();

  CheckpointPlace place_;
  const Mesh& mesh_;
  Communicator& control_;
  Phase phase_ = Phase::kIdle;
  bool gently_ = true;
  bool replaces_ = false;  // the first rank's: it began to replace a checkpoint of this step
  std::optional<CheckpointContents> contents_;
  std::string part_;  // this rank's, as a manifest; written by the task
  SaveResult result_;
  BackgroundTask task_;  // last: it ends before what it uses
};

/// One save from start to end. Collective. Throws the AgreedError (parallel/agreement.h) of a save
/// that fails.
std::filesystem::path save_checkpoint(const CheckpointPlace& place,
                                      const CheckpointContents& contents, const Mesh& mesh,
                                      Communicator& control);

}  // namespace phalanx
