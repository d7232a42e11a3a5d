#pragma once
// What is known of a step once it is done, for all that records or shows it: metrics.jsonl, event
// files, the panel. Plain values; local. Sources are in name order.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/mixture/curriculum.h"
#include "trainer/evaluator.h"
#include "trainer/run_saves.h"
#include "trainer/train_step.h"
#include "trainer/work_times.h"

namespace phalanx {

struct StepRecord {
  int64_t step = 0;        // steps done, this one included
  int64_t num_steps = 0;   // of the run
  int64_t tokens = 0;      // consumed, this step's included
  int64_t num_tokens = 0;  // that the whole run will have consumed
  int64_t attempt = 0;
  double unix_seconds = 0.0;  // when it was done
  double learning_rate = 0.0;
  double seconds = 0.0;            // of this step, once its data was there
  double data_wait_seconds = 0.0;  // before that, of the rank that waited longest
  int64_t peak_memory_bytes = 0;   // up to there, of the fullest rank
  int64_t step_tokens = 0;
  double flops = 0.0;       // of the step, all ranks: flops_per_token(), nothing computed twice
  double peak_flops = 0.0;  // a second, of all ranks' processors; 0: not known
  std::vector<int64_t> source_tokens;        // of this step; padding included
  std::vector<int64_t> source_total_tokens;  // that the ledger counts, this step included
  std::vector<double> source_weights;        // that the plan wants of this step, sum 1
  std::vector<double> source_epochs;         // passes so far, this step included
  std::string phase;                         // stage/phase, by name
  StepResult result;
  // The run went back to this step after this one, passing over those between.
  std::optional<int64_t> rolled_back_to = std::nullopt;
  int64_t skipped_steps = 0;            // of the attempt, this one included
  bool saving = false;                  // while a checkpoint was being written
  SaveCounts saves;                     // of the attempt, before this step
  ValidationResults validation_before;  // of the first step of a run
  ValidationResults validation;         // after this step, when it is due
  std::optional<WorkReport> work;       // of the steps since the last one, when it is due
};

/// Part of the time that went into waiting for data, from 0 to 1.
[[nodiscard]] double data_wait_share(double wait_seconds, double step_seconds);

/// Without the wait for data.
[[nodiscard]] double tokens_per_second(const StepRecord& record);

/// Model FLOPs utilisation at that speed, from 0 to 1; nothing where the peak is not known.
[[nodiscard]] std::optional<double> mfu_at(const StepRecord& record, double tokens_per_second);

/// A step's sums over the sources of one kind.
struct KindSums {
  SourceKind kind = SourceKind::kOrganic;
  int64_t tokens = 0;
  double nats = 0.0, targets = 0.0;
};
/// Of the kinds that the run has, organic first.
[[nodiscard]] std::vector<KindSums> sums_by_kind(const StepRecord& record,
                                                 const std::vector<CurriculumSource>& sources);

}  // namespace phalanx
