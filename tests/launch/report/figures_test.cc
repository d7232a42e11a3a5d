// Groups of seeds, spreads and differences with their intervals.
#include "launch/report/figures.h"

#include <gtest/gtest.h>

#include <cmath>

#include "launch/report/measures.h"

namespace phalanx {
namespace {

RunSummary run_of(const std::string& path, RunStatus status) {
  RunSummary run;
  run.folder = path;
  run.name = run.folder.filename().string();
  run.status = status;
  run.steps = status == RunStatus::kNotBegun ? 0 : 10;
  return run;
}

TEST(Groups, NamesWithoutSeeds) {
  EXPECT_EQ(name_without_seed("late-seed-12"), "late");
  EXPECT_EQ(name_without_seed("late_seed3"), "late");
  EXPECT_EQ(name_without_seed("late.seed=3"), "late");
  EXPECT_EQ(name_without_seed("seed-3"), "seed-3");
  EXPECT_EQ(name_without_seed("late-3"), "late-3");
  EXPECT_EQ(seed_of("late-seed-12"), "12");
  EXPECT_EQ(seed_of("late-3"), "late-3");
}

TEST(Groups, FinishedRunsCountAndOthersOnlyWithoutThem) {
  const std::vector<RunSummary> runs = {
      run_of("e/a-seed-1", RunStatus::kFinished), run_of("e/b-seed-1", RunStatus::kUnfinished),
      run_of("e/a-seed-2", RunStatus::kBroken), run_of("e/b-seed-2", RunStatus::kNotBegun),
      run_of("other/a-seed-1", RunStatus::kFinished)};
  const std::vector<RunGroup> groups = group_runs(runs);
  ASSERT_EQ(groups.size(), 3u);
  EXPECT_EQ(groups[0].runs, (std::vector<size_t>{0, 2}));
  EXPECT_EQ(groups[0].counted, (std::vector<size_t>{0}));
  EXPECT_FALSE(groups[0].complete);
  EXPECT_EQ(groups[1].counted, (std::vector<size_t>{1}));
  EXPECT_EQ(groups[2].runs, (std::vector<size_t>{4}));
  EXPECT_TRUE(groups[2].complete);
}

TEST(Spreads, LeaveOutWhatIsNotKnown) {
  const Spread spread = spread_of({1, NAN, 2, 3, 4});
  EXPECT_EQ(spread.n, 4);
  EXPECT_DOUBLE_EQ(spread.mean, 2.5);
  EXPECT_NEAR(spread.sd, 1.2909944487, 1e-9);
  EXPECT_TRUE(std::isnan(spread_of({7}).sd));
  EXPECT_TRUE(std::isnan(spread_of({}).mean));
}

/// Values of scipy.stats.ttest_rel and ttest_ind(equal_var=False), confidence_interval(0.95).
TEST(Differences, OfPairs) {
  const Difference d =
      difference_of({{"1", 1.0}, {"2", 1.3}, {"3", 0.9}}, {{"1", 1.2}, {"2", 1.6}, {"3", 1.15}});
  EXPECT_TRUE(d.paired);
  EXPECT_NEAR(d.mean, -0.25, 1e-12);
  EXPECT_NEAR(d.half_width, 4.303 * 0.05 / std::sqrt(3.0), 1e-9);
  EXPECT_EQ(verdict_of(d, /*less_is_better=*/true), "better");
  EXPECT_EQ(verdict_of(d, /*less_is_better=*/false), "worse");
}

TEST(Differences, OfMeansWhereSeedsAreNotTheSame) {
  const Difference d =
      difference_of({{"1", 1.0}, {"2", 1.3}, {"3", 0.9}}, {{"4", 1.2}, {"5", 1.6}, {"6", 1.15}});
  EXPECT_FALSE(d.paired);
  EXPECT_NEAR(d.mean, -0.25, 1e-12);
  // 3.9 degrees of freedom are taken as 3, which makes the interval wider, never narrower.
  EXPECT_NEAR(d.half_width, 3.182 * std::sqrt(0.0433333 / 3 + 0.0608333 / 3), 1e-4);
  EXPECT_EQ(verdict_of(d, true), "unclear");
}

TEST(Differences, OneRunHasNoInterval) {
  const Difference d = difference_of({{"1", 1.0}}, {{"1", 1.2}});
  EXPECT_NEAR(d.mean, -0.2, 1e-12);
  EXPECT_TRUE(std::isnan(d.half_width));
  EXPECT_EQ(verdict_of(d, true), "one run");
}

// A run that goes on from another's checkpoint, and one that skipped steps, have gaps.
TEST(Speed, StepsThatAreNotThereDoNotCount) {
  RunSummary run = run_of("e/a", RunStatus::kFinished);
  run.history.steps = {101, 102, 103, 205};
  run.history.tokens = {10100, 10200, 10300, 20500};
  run.history.loss = {1, 1, 1, 1};
  run.history.seconds = {2, 2, 2, 2};
  EXPECT_DOUBLE_EQ(figures_of(run).tokens_per_second, 50);
}

}  // namespace
}  // namespace phalanx
