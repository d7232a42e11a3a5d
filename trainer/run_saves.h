#pragma once
// The saves of one run: begun while it trains, at most one at a time, counted, and what follows
// when one fails.
//
// Collective over the context's control: all but flags(), running() and the counts; every rank, at
// the same step. Ownership: refers to what the context refers to, config, parameters and shares.
// Threads: see CheckpointSaver. Errors: a save that fails does not end the run, so a disk that is
// full for an hour costs the saves of that hour; the third failure in a row does, with an
// AgreedError, and so does a failure of save_and_wait().
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "trainer/checkpoint/checkpoint_saver.h"
#include "trainer/checkpoint/share_snapshot.h"
#include "trainer/run_config.h"
#include "trainer/run_context.h"
#include "trainer/train_state.h"

namespace phalanx {

inline constexpr int64_t kMaxFailedSavesInARow = 3;

/// Of this attempt of the run.
struct SaveCounts {
  int64_t saved = 0;
  int64_t skipped = 0;  // due while an earlier one was still being written
  int64_t failed = 0;
  double stall_seconds = 0.0;  // the training stood still for them, on this rank
};

struct SavedRun {
  std::filesystem::path folder;
  std::filesystem::path resumed_from;  // a checkpoint, kept for ever; may be empty
  int64_t resumed_step = 0;            // its step
  std::string config_yaml;             // resolved, stored in each checkpoint
};

class RunSaves {
 public:
  /// `note` is called with a line for people, on every rank.
  RunSaves(const RunConfig& config, const RunContext& context, const ParameterSet& parameters,
           const std::vector<BucketShare>& shares, const SavedRun& run,
           std::function<void(const std::string&)> note);

  /// Begins to save `state`; skips and counts that while another save is running.
  void begin(const TrainState& state);
  /// The same, but waits for the other one.
  void begin_after_running(const TrainState& state);
  /// Waits for the one under way, then saves `state` and waits. A failure is thrown.
  void save_and_wait(const TrainState& state);
  /// Waits for the one under way, if there is one. Does not throw when it fails.
  void finish();

  SaveFlags flags() const { return saver_.flags(); }
  bool running() const { return saver_.running(); }
  /// With the maximum of all ranks' flags: goes on with the save under way.
  void advance(SaveFlags agreed);

  const SaveCounts& counts() const { return counts_; }
  /// What a save that the run waits for will take at most, as far as is known; 0: nothing is.
  double expected_seconds() const;
  /// The last one saved, or the one resumed from; empty: none.
  const std::filesystem::path& newest() const { return newest_; }
  int64_t newest_step() const { return newest_step_; }
  /// Whether this run has a checkpoint of the step, of its own.
  bool has(int64_t step) const;

 private:
  void start(const TrainState& state, bool gently);
  SaveResult wait();
  void count(const SaveResult& result);
  void refuse_many_failures() const;

  const RunConfig& config_;
  const ParameterSet& parameters_;
  const std::vector<BucketShare>& shares_;
  std::string config_yaml_;
  std::filesystem::path folder_;  // of its checkpoints
  std::function<void(const std::string&)> note_;
  std::optional<ShareSnapshot> snapshot_;  // where saves need one
  CheckpointSaver saver_;
  SaveCounts counts_;
  std::chrono::steady_clock::time_point begin_;         // of the one under way
  bool gently_ = false;                                 // it gives way to the training
  double longest_waited_ = 0.0, longest_behind_ = 0.0;  // seconds, from begin to end
  int64_t failed_in_a_row_ = 0;
  SaveResult last_failure_;
  std::filesystem::path newest_;
  int64_t newest_step_ = 0;
};

}  // namespace phalanx
