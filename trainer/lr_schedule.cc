#include "trainer/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace phalanx {

int64_t in_steps(const Duration& duration, int64_t tokens_per_step) {
  if (duration.unit == Duration::Unit::kSteps) return duration.count;
  return duration.count / tokens_per_step + (duration.count % tokens_per_step != 0);
}

LrSchedule::LrSchedule(const LearningRateConfig& config, int64_t stage_steps,
                       int64_t tokens_per_step)
    : config_(config),
      stage_steps_(stage_steps),
      warmup_steps_(std::min(in_steps(config.warmup, tokens_per_step), stage_steps)),
      decay_steps_(std::min(in_steps(config.decay, tokens_per_step), stage_steps)) {}

double LrSchedule::rate(int64_t step) const {
  if (step < warmup_steps_) return config_.peak * double(step + 1) / double(warmup_steps_);
  const bool constant = config_.schedule == Decay::kConstant;
  const int64_t start = constant ? stage_steps_ - decay_steps_ : warmup_steps_;
  if (step < start || stage_steps_ == start) return config_.peak;
  return decayed(double(step - start) / double(stage_steps_ - start));
}

double LrSchedule::decayed(double progress) const {
  const double left = config_.schedule == Decay::kCosine
                          ? 0.5 * (1.0 + std::cos(std::numbers::pi * progress))
                          : 1.0 - progress;
  return config_.final + (config_.peak - config_.final) * left;
}

}  // namespace phalanx
