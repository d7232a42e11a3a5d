#pragma once
// The training loop of one run, on one rank: next batch, step, record, evaluate, save, stop.
// Collective over tp, dp and control: constructor and run(), every rank. All ranks act on the same
// step (trainer/step_agreement.h).
// Ownership: owns replica, data and state; refers to the RunContext and the config.
// Threads: one, besides those of the prefetcher and of a save. Stream: the current one.
// Errors: a rank that gets no data ends all with one AgreedError, once what was trained is saved,
// and so does what StepGuard takes for a fault of a machine; a loss that stays non-finite, or a
// spike that stops the run, is a NonFiniteError; saves that fail as trainer/run_saves.h says. What
// was saved stays, and a save under way is brought to its end first.
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "data/mixture/prefetcher.h"
#include "trainer/batch_wait.h"
#include "trainer/evaluator.h"
#include "trainer/metrics/step_trace.h"
#include "trainer/replica.h"
#include "trainer/run_records.h"
#include "trainer/run_requests.h"
#include "trainer/run_saves.h"
#include "trainer/stage_runs.h"
#include "trainer/step_agreement.h"
#include "trainer/step_guard.h"
#include "trainer/train_state.h"
#include "trainer/train_step.h"
#include "trainer/work_times.h"

namespace phalanx {

struct TrainerOptions {
  std::filesystem::path run_folder;
  std::string config_yaml;             // resolved, stored in each checkpoint
  std::filesystem::path resumed_from;  // a checkpoint; empty: a new run
  bool save_first = false;             // before the first step, what the start has changed
  std::string stop_first = {};         // after that, for this reason; empty: train on
  std::function<Requests()> requests;  // asked once a step, and while data are awaited
  RecordPlace records;
  double peak_flops = 0.0;  // a second, of a rank's processor, for MFU; 0: not known
  TraceSteps trace;         // written to RUN/profile/, a file a rank
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
};

/// How a run goes on after a spike: from a checkpoint, with the steps up to `step` passed over.
struct RollBack {
  std::filesystem::path checkpoint;
  int64_t step = 0;
  std::string stop;  // asked for in the step of the spike, by whom: save there, then stop
};

struct RunOutcome {
  bool stopped = false;  // before its end; the run can be resumed
  std::string stop_reason;
  std::filesystem::path checkpoint;
  TrainState state;
  std::shared_ptr<const MixturePlan> plan;
  ValidationResults validation;  // after the last step of this attempt
  SaveCounts saves;
  double tokens_per_second = 0.0;  // of this attempt, without evaluation and saving
  double data_wait_share = 0.0;    // of the time of its steps
  std::optional<RollBack> roll_back = std::nullopt;  // instead of an end
};

class Trainer {
 public:
  /// `start` and `state` are those of the checkpoint to resume from or to fork, or new ones;
  /// `planned` and `data` belong together.
  Trainer(const RunConfig& config, const RunContext& context, RunData data, PlannedRun planned,
          TrainState state, const StartTensors& start, TrainerOptions options);

  RunOutcome run();

 private:
  std::optional<RollBack> train();
  std::optional<RollBack> conclude(StepRecord& record, bool stop);
  std::optional<Batch> next_batch(StepFlags& agreed);
  void save_if_possible();
  StepRecord take_step(const Batch& batch);
  void advance(const Batch& batch, const StepFlags& agreed, StepRecord& record);
  void note_untrained(const Batch& batch, const StepRecord& record);
  ValidationResults evaluate();
  void save_start();
  void save(bool last, bool at_edge);
  void save_if_new();
  RunOutcome outcome() const;

  const RunConfig& config_;
  const RunContext& context_;
  TrainerOptions options_;
  RunData data_;
  std::shared_ptr<const MixturePlan> plan_;
  TrainState state_;
  std::vector<StageRun> stages_;
  Replica replica_;
  TrainStep train_step_;
  StateCheck state_check_;
  StepGuard guard_;
  Evaluator evaluator_;
  Prefetcher prefetcher_;
  StepTrace trace_;
  RunRecords records_;
  ValidationResults validation_, validation_before_;
  int64_t validated_step_ = -1;
  RunSaves saves_;
  double data_waited_seconds_ = 0.0;  // of this rank, before the step at hand
  double wait_seconds_ = 0.0;         // the same, of this attempt
  double train_seconds_ = 0.0;
  int64_t train_tokens_ = 0;
  int64_t skipped_steps_ = 0, skipped_in_a_row_ = 0;
  WorkTimes work_times_;
  RunRequests requests_;
  std::string stop_reason_ = "on request of another rank";   // if it is stopped
  std::vector<std::pair<int64_t, int64_t>> untrained_rows_;  // in this attempt
};

}  // namespace phalanx
