#pragma once
// The run's record: metrics.jsonl, one JSON object a step, appended after a resume. Local: the
// first rank only. Floating-point values are written with the digits that read back to the same
// bits; a non-finite value is null. Readers take the last line of a step (a resumed run repeats
// steps under a higher attempt), know that the steps between a line's `rolled_back_to` and itself
// have left no trace in the weights, though their lines stay, and tolerate a torn last line.
// Errors: std::system_error naming the file.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/file.h"
#include "trainer/evaluator.h"
#include "trainer/run_saves.h"
#include "trainer/train_step.h"
#include "trainer/work_times.h"

namespace phalanx {

struct StepRecord {
  int64_t step = 0;       // steps done, this one included
  int64_t num_steps = 0;  // of the run
  int64_t tokens = 0;     // consumed, this step's included
  int64_t attempt = 0;
  double learning_rate = 0.0;
  double seconds = 0.0;            // of this step, once its data was there
  double data_wait_seconds = 0.0;  // before that, of the rank that waited longest
  int64_t peak_memory_bytes = 0;   // up to there, of the fullest rank
  int64_t step_tokens = 0;
  std::vector<int64_t> source_tokens;        // of this step, in name order; padding included
  std::vector<int64_t> source_total_tokens;  // that the ledger counts, this step included
  std::string phase;                         // stage/phase, by name
  StepResult result;
  // The run went back to this step after this one, passing over those between.
  std::optional<int64_t> rolled_back_to = std::nullopt;
  bool saving = false;                  // while a checkpoint was being written
  SaveCounts saves;                     // of the attempt, before this step
  ValidationResults validation_before;  // of the first step of a run
  ValidationResults validation;         // after this step, when it is due
  std::optional<WorkReport> work;       // of the steps since the last one, when it is due
};

/// Part of the time that went into waiting for data, from 0 to 1.
double data_wait_share(double wait_seconds, double step_seconds);

class Metrics {
 public:
  Metrics(const std::filesystem::path& path, std::vector<std::string> source_names);
  void write(const StepRecord& record);

 private:
  File file_;
  std::vector<std::string> source_names_;
};

}  // namespace phalanx
