// The learning rate of a stage at all its corners.
#include "trainer/lr_schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace phalanx {
namespace {

constexpr int64_t kStepTokens = 1000;

Duration steps(int64_t count) { return {Duration::Unit::kSteps, count}; }
Duration tokens(int64_t count) { return {Duration::Unit::kTokens, count}; }

LrSchedule make(Decay decay, const Duration& warmup, const Duration& end, int64_t num_steps = 10,
                double final = 0.1) {
  return LrSchedule({1.1, warmup, decay, end, final}, num_steps, kStepTokens);
}

TEST(InSteps, TokensAreRoundedUpToWholeSteps) {
  EXPECT_EQ(in_steps(steps(7), kStepTokens), 7);
  EXPECT_EQ(in_steps(tokens(0), kStepTokens), 0);
  EXPECT_EQ(in_steps(tokens(1), kStepTokens), 1);
  EXPECT_EQ(in_steps(tokens(2000), kStepTokens), 2);
  EXPECT_EQ(in_steps(tokens(2001), kStepTokens), 3);
  EXPECT_EQ(in_steps(tokens(INT64_MAX), 1), INT64_MAX);
}

TEST(LrSchedule, WarmUpRisesLinearlyFromZeroToThePeak) {
  for (const Duration& warmup : {steps(4), tokens(3001)}) {
    for (const Decay decay : {Decay::kLinear, Decay::kCosine, Decay::kConstant}) {
      const LrSchedule schedule = make(decay, warmup, steps(0));
      for (int64_t s = 0; s < 4; ++s) EXPECT_DOUBLE_EQ(schedule.rate(s), 1.1 * double(s + 1) / 4);
      EXPECT_DOUBLE_EQ(schedule.rate(4), 1.1);
    }
  }
}

TEST(LrSchedule, LinearDecayReachesTheFinalRateAtTheStagesEnd) {
  const LrSchedule schedule = make(Decay::kLinear, steps(2), steps(0));
  EXPECT_DOUBLE_EQ(schedule.rate(2), 1.1);
  EXPECT_DOUBLE_EQ(schedule.rate(6), 0.6);
  EXPECT_DOUBLE_EQ(schedule.rate(9), 0.1 + 1.0 / 8);
  EXPECT_DOUBLE_EQ(schedule.rate(10), 0.1);
}

TEST(LrSchedule, CosineDecayFollowsHalfAWave) {
  const LrSchedule schedule = make(Decay::kCosine, steps(2), steps(0));
  EXPECT_DOUBLE_EQ(schedule.rate(2), 1.1);
  EXPECT_DOUBLE_EQ(schedule.rate(4), 0.1 + 0.5 * (1 + std::cos(std::numbers::pi / 4)));
  EXPECT_DOUBLE_EQ(schedule.rate(6), 0.6);
  EXPECT_DOUBLE_EQ(schedule.rate(10), 0.1);
}

TEST(LrSchedule, ConstantThenDecayIsLinearOverTheEndOnly) {
  for (const Duration& end : {steps(4), tokens(4000), tokens(3500)}) {
    const LrSchedule schedule = make(Decay::kConstant, steps(1), end);
    for (int64_t s = 0; s <= 6; ++s) EXPECT_DOUBLE_EQ(schedule.rate(s), 1.1) << s;
    EXPECT_DOUBLE_EQ(schedule.rate(7), 0.85);
    EXPECT_DOUBLE_EQ(schedule.rate(9), 0.35);
    EXPECT_DOUBLE_EQ(schedule.rate(10), 0.1);
  }
  const LrSchedule none = make(Decay::kConstant, steps(0), steps(0));
  for (int64_t s = 0; s < 10; ++s) EXPECT_DOUBLE_EQ(none.rate(s), 1.1);
}

TEST(LrSchedule, WithoutWarmUpTheFirstStepHasThePeak) {
  EXPECT_DOUBLE_EQ(make(Decay::kLinear, steps(0), steps(0)).rate(0), 1.1);
  EXPECT_DOUBLE_EQ(make(Decay::kCosine, tokens(0), steps(0), 1).rate(0), 1.1);
}

TEST(LrSchedule, AWarmUpOfTheWholeStageOrLongerEndsAtThePeak) {
  for (const int64_t warmup : {3, 100}) {
    const LrSchedule schedule = make(Decay::kLinear, steps(warmup), steps(0), 3);
    EXPECT_DOUBLE_EQ(schedule.rate(0), 1.1 / 3);
    EXPECT_DOUBLE_EQ(schedule.rate(2), 1.1);
    EXPECT_DOUBLE_EQ(schedule.rate(3), 1.1);
  }
}

TEST(LrSchedule, RatesStayBetweenFinalAndPeakAndNeverRiseAfterWarmUp) {
  for (const Decay decay : {Decay::kLinear, Decay::kCosine, Decay::kConstant}) {
    const LrSchedule schedule = make(decay, steps(30), steps(400), 1000);
    for (int64_t s = 30; s < 1000; ++s) {
      EXPECT_LE(schedule.rate(s), schedule.rate(s - 1)) << s;
      EXPECT_GE(schedule.rate(s), 0.1) << s;
    }
  }
}

}  // namespace
}  // namespace phalanx
