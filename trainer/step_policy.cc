#include "trainer/step_policy.h"

#include <fmt/format.h>

namespace phalanx {

AfterStep after_step(const StepResult& result, const StepPlace& place,
                     const NumbersConfig& config) {
  const bool spike = result.review.suspicion == Suspicion::kSpike;
  if (place.skipped_in_a_row >= config.max_skipped_in_a_row) {
    return {NextMove::kEnd,
            fmt::format("loss or gradient norm was {} in {} steps in a row, the last one step {}",
                        spike ? "a spike or not finite" : "not finite", place.skipped_in_a_row,
                        place.step)};
  }
  if (!spike) return {};
  const std::string what = fmt::format("step {}: loss {} or gradient norm {} is a spike",
                                       place.step, result.loss, result.grad_norm);
  if (config.spikes.policy == SpikePolicy::kStop) {
    return {NextMove::kEnd, what + " (numbers.spikes.policy: stop)"};
  }
  if (config.spikes.policy != SpikePolicy::kRollBack || place.is_last) return {};
  if (!place.has_checkpoint) {
    return {NextMove::kEnd, what + ", and there is no checkpoint to go back to"};
  }
  if (place.roll_backs >= config.spikes.max_roll_backs) {
    return {NextMove::kEnd, fmt::format("{}, after {} roll-backs (numbers.spikes.max_roll_backs)",
                                        what, place.roll_backs)};
  }
  return {NextMove::kRollBack, ""};
}

}  // namespace phalanx
