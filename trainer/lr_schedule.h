#pragma once
// The learning rate of a stage as a function of the targets consumed since its start. Pure, local.
// Linear warm-up from 0, then linear or cosine to `final`, or constant and then linear to `final`
// over the last `decay`.
#include <cstdint>

#include "trainer/run_config.h"

namespace phalanx {

class LrSchedule {
 public:
  /// A stage of `stage_steps` steps of `tokens_per_step` targets.
  LrSchedule(const LearningRateConfig& config, int64_t stage_steps, int64_t tokens_per_step);

  /// Rate of the update that is step `step` of the stage, from 0. The last step's rate is one step
  /// short of `final`, which the stage reaches at its end.
  double rate(int64_t step) const;

 private:
  double decayed(double progress) const;

  LearningRateConfig config_;
  int64_t stage_steps_;
  int64_t warmup_steps_;
  int64_t decay_steps_;  // of a constant-then-decay schedule
};

/// A duration in whole steps, rounded up.
int64_t in_steps(const Duration& duration, int64_t tokens_per_step);

}  // namespace phalanx
