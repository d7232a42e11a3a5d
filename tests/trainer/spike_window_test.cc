// What counts as a spike, what follows it, and hashes that see a bit.
#include "trainer/spike_window.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "parallel/exit_codes.h"
#include "trainer/step_policy.h"
#include "trainer/tensor_hash.h"

namespace phalanx {
namespace {

SpikeConfig skip(double z, int64_t window) { return {SpikePolicy::kSkip, z, window, 3}; }

TEST(SpikeWindow, ZScoresAreThoseOfTheSample) {
  EXPECT_DOUBLE_EQ(z_score({1, 2, 3}, 5), 3.0);
  EXPECT_DOUBLE_EQ(z_score({1, 2, 3}, -1), -3.0);
  EXPECT_EQ(z_score({2, 2, 2}, 9), 0.0);
  EXPECT_EQ(z_score({2}, 9), 0.0);
}

TEST(SpikeWindow, NothingIsASpikeBeforeHalfOfTheWindowIsThere) {
  RecentSteps recent;
  const SpikeConfig config = skip(3, 8);
  for (const double loss : {4.0, 4.1, 3.9}) remember(recent, config, loss, 1.0 + loss / 10);
  EXPECT_FALSE(is_spike(recent, config, 40, 1.4));
  remember(recent, config, 4.0, 1.4);
  EXPECT_TRUE(is_spike(recent, config, 40, 1.4)) << "by the loss";
  EXPECT_TRUE(is_spike(recent, config, 4.0, 30)) << "by the norm";
  EXPECT_FALSE(is_spike(recent, config, 4.05, 1.41));
  EXPECT_FALSE(is_spike(recent, config, 0.1, 0.1)) << "below is no spike";
  SpikeConfig off = config;
  off.policy = SpikePolicy::kOff;
  EXPECT_FALSE(is_spike(recent, off, 40, 30));
}

TEST(SpikeWindow, TheOldestStepsLeaveAndValuesThatAreNotFiniteNeverEnter) {
  RecentSteps recent;
  const SpikeConfig config = skip(3, 4);
  for (int i = 0; i < 6; ++i) remember(recent, config, i, 10 + i);
  remember(recent, config, std::nan(""), 1);
  remember(recent, config, 1, std::numeric_limits<double>::infinity());
  EXPECT_EQ(recent.losses, (std::vector<double>{2, 3, 4, 5}));
  EXPECT_EQ(recent.grad_norms, (std::vector<double>{12, 13, 14, 15}));
  EXPECT_TRUE(is_spike(recent, config, 50, 14)) << "a NaN would have hidden it";
}

StepResult found(Suspicion suspicion) {
  StepResult result;
  result.loss = 7.5;
  result.grad_norm = 3;
  result.updated = suspicion == Suspicion::kNone;
  result.review.suspicion = suspicion;
  return result;
}

/// "back", "on", or why it ends.
std::string after(Suspicion suspicion, const StepPlace& place, SpikePolicy policy) {
  NumbersConfig config;
  config.max_skipped_in_a_row = 3;
  config.spikes.policy = policy;
  config.spikes.max_roll_backs = 2;
  const AfterStep next = after_step(found(suspicion), place, config);
  if (next.move == NextMove::kEnd) return next.reason;
  return next.move == NextMove::kRollBack ? "back" : "on";
}

TEST(StepPolicy, EndsAfterSoManySkippedStepsInARow) {
  using enum Suspicion;
  EXPECT_EQ(after(kNotFinite, {9, 2, 0, true, false}, SpikePolicy::kOff), "on");
  EXPECT_EQ(after(kNotFinite, {9, 3, 0, true, false}, SpikePolicy::kOff),
            "loss or gradient norm was not finite in 3 steps in a row, the last one step 9");
  EXPECT_EQ(
      after(kSpike, {9, 3, 0, true, false}, SpikePolicy::kSkip),
      "loss or gradient norm was a spike or not finite in 3 steps in a row, the last one step "
      "9");
}

TEST(StepPolicy, ASpikeStopsIsSkippedOrGoesBackToACheckpointAFewTimes) {
  using enum Suspicion;
  using enum SpikePolicy;
  const std::string spike = "step 9: loss 7.5 or gradient norm 3 is a spike";
  EXPECT_EQ(after(kNone, {9, 0, 0, true, false}, kRollBack), "on");
  EXPECT_EQ(after(kSpike, {9, 1, 0, true, false}, kSkip), "on");
  EXPECT_EQ(after(kSpike, {9, 1, 0, true, false}, kStop), spike + " (numbers.spikes.policy: stop)");
  EXPECT_EQ(after(kSpike, {9, 1, 1, true, false}, kRollBack), "back");
  EXPECT_EQ(after(kSpike, {9, 1, 0, true, true}, kRollBack), "on") << "the last step";
  EXPECT_EQ(after(kSpike, {9, 1, 0, false, false}, kRollBack),
            spike + ", and there is no checkpoint to go back to");
  EXPECT_EQ(after(kSpike, {9, 1, 2, true, false}, kRollBack),
            spike + ", after 2 roll-backs (numbers.spikes.max_roll_backs)");
}

TEST(TensorHash, SeesEveryBitAndEveryExchangeOfElements) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor tensor_N = at::arange(1, 301, at::kFloat).sin().to(dtype);
    const auto sum = [](const at::Tensor& t) {
      return static_cast<uint64_t>(keyed_bit_sum(t).item<int64_t>());
    };
    std::set<uint64_t> sums{sum(tensor_N)}, hashes{tensor_hashes({tensor_N})[0]};
    size_t changes = 1;
    const int bits = static_cast<int>(tensor_N.element_size()) * 8;
    for (int64_t i = 0; i < 300; i += 37) {
      for (int bit = 0; bit < bits; ++bit, ++changes) {
        const at::Tensor flipped_N = tensor_N.clone();
        flipped_N.view(bits == 32 ? at::kInt : at::kShort)[i].bitwise_xor_(int64_t{1} << bit);
        sums.insert(sum(flipped_N));
        hashes.insert(tensor_hashes({flipped_N})[0]);
      }
    }
    const at::Tensor exchanged_N =
        at::cat({tensor_N.narrow(0, 1, 1), tensor_N.narrow(0, 0, 1), tensor_N.narrow(0, 2, 298)});
    sums.insert(sum(exchanged_N));
    hashes.insert(tensor_hashes({exchanged_N})[0]);
    EXPECT_EQ(hashes.size(), ++changes);
    EXPECT_NE(sum(exchanged_N), sum(tensor_N));
    EXPECT_GT(sums.size(), changes - 3);
  }
}

}  // namespace
}  // namespace phalanx
