// The learning rate of a stage at all its corners.
#include "trainer/lr_schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace phalanx {
namespace {

constexpr int64_t kLength = 125;  // targets of a row
constexpr int64_t kRows = 8;      // of a step: 1,000 targets

Duration steps(int64_t count) { return {Duration::Unit::kSteps, count}; }
Duration tokens(int64_t count) { return {Duration::Unit::kTokens, count}; }

/// Steps of one size, asked by their number.
struct EvenSchedule {
  LrSchedule schedule;
  double rate(int64_t step) const { return schedule.rate(step * kRows, kRows); }
};

EvenSchedule make(Decay decay, const Duration& warmup, const Duration& end, int64_t num_steps = 10,
                  double final = 0.1) {
  return {LrSchedule({1.1, warmup, decay, end, final}, {{0, num_steps * kRows, kRows}}, kLength)};
}

TEST(LrSchedule, DurationsAreRoundedUpToWholeSteps) {
  const auto warmup = [](const Duration& duration) {
    return make(Decay::kLinear, duration, steps(0)).schedule.warmup_rows() / kRows;
  };
  EXPECT_EQ(warmup(steps(7)), 7);
  EXPECT_EQ(warmup(tokens(0)), 0);
  EXPECT_EQ(warmup(tokens(1)), 1);
  EXPECT_EQ(warmup(tokens(2000)), 2);
  EXPECT_EQ(warmup(tokens(2001)), 3);
  EXPECT_EQ(warmup(tokens(INT64_MAX)), 10);
  EXPECT_EQ(warmup(steps(INT64_MAX)), 10);
}

TEST(LrSchedule, StepsOfOneSizeGiveTheBitsOfTheirNumbers) {
  const LrSchedule schedule({3e-4, steps(7), Decay::kCosine, steps(0), 1e-5}, {{0, 999 * 12, 12}},
                            kLength);
  for (int64_t s = 0; s < 7; ++s) {
    EXPECT_EQ(schedule.rate(s * 12, 12), 3e-4 * double(s + 1) / 7.0);
  }
  for (int64_t s = 7; s < 999; ++s) {
    const double wave = 0.5 * (1.0 + std::cos(std::numbers::pi * (double(s - 7) / 992.0)));
    EXPECT_EQ(schedule.rate(s * 12, 12), 1e-5 + (3e-4 - 1e-5) * wave);
  }
}

TEST(LrSchedule, AGrowingBatchKeepsTheSlopesInTokens) {
  // 4 steps of 2 rows, 3 of 4, 5 of 8: 60 rows.
  const std::vector<StageSteps> ramp = {{0, 8, 2}, {8, 20, 4}, {20, 60, 8}};
  const LrSchedule schedule({1.0, tokens(9 * kLength), Decay::kLinear, steps(0), 0.0}, ramp,
                            kLength);
  EXPECT_EQ(schedule.warmup_rows(), 12);  // the first edge at or after row 9
  EXPECT_DOUBLE_EQ(schedule.rate(0, 2), 2.0 / 12);
  EXPECT_DOUBLE_EQ(schedule.rate(6, 2), 8.0 / 12);
  EXPECT_DOUBLE_EQ(schedule.rate(8, 4), 1.0);
  for (const auto& [row, rows] : {std::pair{12, 4}, {20, 8}, {52, 8}}) {
    EXPECT_DOUBLE_EQ(schedule.rate(row, rows), 1.0 - double(row - 12) / 48);
  }
  const LrSchedule constant({1.0, steps(5), Decay::kConstant, steps(6), 0.0}, ramp, kLength);
  EXPECT_EQ(constant.warmup_rows(), 12);
  EXPECT_EQ(constant.decay_rows(), 44);
  EXPECT_DOUBLE_EQ(constant.rate(12, 4), 1.0);
  EXPECT_DOUBLE_EQ(constant.rate(20, 8), 1.0 - 4.0 / 44);
  EXPECT_EQ(LrSchedule({1.0, steps(0), Decay::kConstant, tokens(41 * kLength), 0.0}, ramp, kLength)
                .decay_rows(),
            44);
}

TEST(LrSchedule, WarmUpRisesLinearlyFromZeroToThePeak) {
  for (const Duration& warmup : {steps(4), tokens(3001)}) {
    for (const Decay decay : {Decay::kLinear, Decay::kCosine, Decay::kConstant}) {
      const EvenSchedule schedule = make(decay, warmup, steps(0));
      for (int64_t s = 0; s < 4; ++s) EXPECT_DOUBLE_EQ(schedule.rate(s), 1.1 * double(s + 1) / 4);
      EXPECT_DOUBLE_EQ(schedule.rate(4), 1.1);
    }
  }
}

TEST(LrSchedule, LinearDecayReachesTheFinalRateAtTheStagesEnd) {
  const EvenSchedule schedule = make(Decay::kLinear, steps(2), steps(0));
  EXPECT_DOUBLE_EQ(schedule.rate(2), 1.1);
  EXPECT_DOUBLE_EQ(schedule.rate(6), 0.6);
  EXPECT_DOUBLE_EQ(schedule.rate(9), 0.1 + 1.0 / 8);
  EXPECT_DOUBLE_EQ(schedule.rate(10), 0.1);
}

TEST(LrSchedule, CosineDecayFollowsHalfAWave) {
  const EvenSchedule schedule = make(Decay::kCosine, steps(2), steps(0));
  EXPECT_DOUBLE_EQ(schedule.rate(2), 1.1);
  EXPECT_DOUBLE_EQ(schedule.rate(4), 0.1 + 0.5 * (1 + std::cos(std::numbers::pi / 4)));
  EXPECT_DOUBLE_EQ(schedule.rate(6), 0.6);
  EXPECT_DOUBLE_EQ(schedule.rate(10), 0.1);
}

TEST(LrSchedule, ConstantThenDecayIsLinearOverTheEndOnly) {
  for (const Duration& end : {steps(4), tokens(4000), tokens(3500)}) {
    const EvenSchedule schedule = make(Decay::kConstant, steps(1), end);
    for (int64_t s = 0; s <= 6; ++s) EXPECT_DOUBLE_EQ(schedule.rate(s), 1.1) << s;
    EXPECT_DOUBLE_EQ(schedule.rate(7), 0.85);
    EXPECT_DOUBLE_EQ(schedule.rate(9), 0.35);
    EXPECT_DOUBLE_EQ(schedule.rate(10), 0.1);
  }
  const EvenSchedule none = make(Decay::kConstant, steps(0), steps(0));
  for (int64_t s = 0; s < 10; ++s) EXPECT_DOUBLE_EQ(none.rate(s), 1.1);
}

TEST(LrSchedule, WithoutWarmUpTheFirstStepHasThePeak) {
  EXPECT_DOUBLE_EQ(make(Decay::kLinear, steps(0), steps(0)).rate(0), 1.1);
  EXPECT_DOUBLE_EQ(make(Decay::kCosine, tokens(0), steps(0), 1).rate(0), 1.1);
}

TEST(LrSchedule, AWarmUpOfTheWholeStageOrLongerEndsAtThePeak) {
  for (const int64_t warmup : {3, 100}) {
    const EvenSchedule schedule = make(Decay::kLinear, steps(warmup), steps(0), 3);
    EXPECT_DOUBLE_EQ(schedule.rate(0), 1.1 / 3);
    EXPECT_DOUBLE_EQ(schedule.rate(2), 1.1);
    EXPECT_DOUBLE_EQ(schedule.rate(3), 1.1);
  }
}

TEST(LrSchedule, RatesStayBetweenFinalAndPeakAndNeverRiseAfterWarmUp) {
  for (const Decay decay : {Decay::kLinear, Decay::kCosine, Decay::kConstant}) {
    const EvenSchedule schedule = make(decay, steps(30), steps(400), 1000);
    for (int64_t s = 30; s < 1000; ++s) {
      EXPECT_LE(schedule.rate(s), schedule.rate(s - 1)) << s;
      EXPECT_GE(schedule.rate(s), 0.1) << s;
    }
  }
}

}  // namespace
}  // namespace phalanx
