// Who is a straggler, over made-up times; and when a limit of time is near.
#include "trainer/work_times.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tests/support/ranks.h"
#include "trainer/wall_clock.h"

namespace phalanx {
namespace {

/// A step's time: mostly near `mean`, sometimes half as long again, as machines are.
double noisy(std::mt19937& numbers, double mean) {
  const double unit = double(numbers()) / 4294967296.0;
  const double hiccup = numbers() % 50 == 0 ? 1.5 : 1.0;
  return mean * (0.9 + 0.2 * unit) * hiccup;
}

std::vector<RankWork> ranks_of(std::mt19937& numbers, size_t size, int slow, double factor) {
  std::vector<RankWork> ranks(size);
  for (size_t rank = 0; rank < size; ++rank) {
    double sum = 0;
    for (int step = 0; step < 5; ++step) {
      sum += noisy(numbers, static_cast<int>(rank) == slow ? factor : 1.0);
    }
    ranks[rank] = {"node" + std::to_string(rank), sum / 5};
  }
  return ranks;
}

TEST(StragglerRule, NoFalseAlarmInCleanReports) {
  for (const size_t size : {2u, 3u, 8u, 256u}) {
    std::mt19937 numbers(size);
    StragglerRule rule;
    for (int report = 0; report < 1000; ++report) {
      EXPECT_TRUE(rule.judge(ranks_of(numbers, size, -1, 1)).stragglers.empty());
    }
  }
}

TEST(StragglerRule, ASlowRankIsNamedWithinTwoReports) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937 numbers(seed);
    const size_t size = 2 + seed % 7;
    const int slow = static_cast<int>(seed % size);
    StragglerRule rule;
    EXPECT_TRUE(rule.judge(ranks_of(numbers, size, slow, 2)).stragglers.empty());
    const WorkReport second = rule.judge(ranks_of(numbers, size, slow, 2));
    ASSERT_EQ(second.stragglers.size(), 1u) << seed;
    EXPECT_EQ(second.stragglers[0].rank, slow);
    EXPECT_EQ(second.slowest_rank, slow);
    EXPECT_FALSE(second.stragglers[0].is_known);
    EXPECT_TRUE(rule.judge(ranks_of(numbers, size, slow, 2)).stragglers[0].is_known);
    EXPECT_TRUE(rule.judge(ranks_of(numbers, size, -1, 1)).stragglers.empty());
  }
}

TEST(StragglerRule, OneSlowReportIsNoStraggler) {
  StragglerRule rule;
  const std::vector<RankWork> even = {{"a", 1}, {"b", 1}}, slow = {{"a", 1}, {"b", 3}};
  EXPECT_TRUE(rule.judge(slow).stragglers.empty());
  EXPECT_TRUE(rule.judge(even).stragglers.empty());
  EXPECT_TRUE(rule.judge(slow).stragglers.empty());
  const WorkReport report = rule.judge(slow);
  ASSERT_EQ(report.stragglers.size(), 1u);
  EXPECT_EQ(straggler_text(report.stragglers[0], report),
            "rank 1 on b takes 3.0 times as long as the median rank for its own part of a step "
            "(3.0000 s, not 1.0000 s): the others wait for it");
}

TEST(WorkTimes, AllRanksComeToTheSameReport) {
  run_ranks(3, [](Communicator& world) {
    WorkTimes times(1e-9);
    EXPECT_FALSE(times.is_due());
    WorkReport report;
    for (int turn = 0; turn < 2; ++turn) {
      for (int step = 0; step < 5; ++step) times.add(world.rank() == 2 ? 0.4 : 0.1);
      EXPECT_TRUE(times.is_due());
      report = times.compare(world);
    }
    EXPECT_NEAR(report.median_seconds, 0.1, 1e-12);
    ASSERT_EQ(report.stragglers.size(), 1u);
    EXPECT_EQ(report.stragglers[0].rank, 2);
    EXPECT_NEAR(report.stragglers[0].score, 0.25, 1e-9);
  });
}

TEST(WallClockLimit, LeavesTwiceTheTimeOfASave) {
  WallClockLimit limit(1000);
  limit.note_turn(10);
  EXPECT_FALSE(limit.is_near(829));
  EXPECT_TRUE(limit.is_near(830)) << "a save is unmeasured: a twentieth of the limit";
  limit.note_save(20);
  limit.note_save(5);
  EXPECT_FALSE(limit.is_near(919));
  EXPECT_TRUE(limit.is_near(920)) << "2 x 10 of a turn, 3 x 20 of a save";
  EXPECT_FALSE(WallClockLimit(0).is_near(1e9));
}

// A fake clock: the step at which a run stops, and that a save twice as slow still fits.
TEST(WallClockLimit, StopsAtTheStepThatItMust) {
  std::mt19937 numbers(3);
  for (int round = 0; round < 100; ++round) {
    const double step = 1.0 + double(numbers() % 100) / 10,
                 save = 1.0 + double(numbers() % 300) / 10;
    const double end = 600;
    WallClockLimit limit(end);
    double now = 0;
    for (int done = 1;; ++done) {
      if (limit.is_near(now)) {
        now += step;  // the one under way
        break;
      }
      now += step;
      limit.note_turn(step);
      if (done % 10 != 0) continue;
      now += save;
      limit.note_save(save);
    }
    EXPECT_LE(now + 2 * save, end + 1e-9);
    EXPECT_GE(now + 4 * step + 6 * save + 0.15 * end, end) << "and not long before";
  }
}

}  // namespace
}  // namespace phalanx
