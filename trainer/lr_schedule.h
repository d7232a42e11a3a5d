#pragma once
// The learning rate of a stage as a function of the rows consumed since its start. Pure, local.
// Linear warm-up from 0, then linear or cosine to `final`, or constant and then linear to `final`
// over the last `decay`. Rates follow rows, not steps, so that a batch that grows inside the stage
// bends no slope; warm-up and decay begin and end at edges of steps.
#include <cstdint>
#include <vector>

#include "trainer/run_config.h"
#include "trainer/stage_steps.h"

namespace phalanx {

class LrSchedule {
 public:
  /// `steps` follow one another from row 0 to the end of the stage.
  LrSchedule(const LearningRateConfig& config, std::vector<StageSteps> steps,
             int64_t sequence_length);

  /// Rate of the update that takes rows [first_row, first_row + num_rows) of the stage. The last
  /// step's rate is one step short of `final`, which the stage reaches at its end.
  double rate(int64_t first_row, int64_t num_rows) const;

  int64_t warmup_rows() const { return warmup_; }
  int64_t decay_rows() const { return decay_; }

 private:
  int64_t rows_of_first(const Duration& duration, int64_t sequence_length) const;
  int64_t rows_of_last(const Duration& duration, int64_t sequence_length) const;
  double decayed(double progress) const;

  LearningRateConfig config_;
  std::vector<StageSteps> steps_;
  int64_t end_ = 0;   // rows of the stage
  int64_t unit_ = 1;  // rows that divide every edge of a step
  int64_t warmup_ = 0;
  int64_t decay_ = 0;  // of a constant-then-decay schedule
};

}  // namespace phalanx
