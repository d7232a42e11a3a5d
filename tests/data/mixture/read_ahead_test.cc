#include "data/mixture/read_ahead.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>

#include "data/mixture/prefetcher.h"
#include "data/mixture/resume.h"
#include "tests/data/mixture/fake_source.h"
#include "tests/data/mixture/waiting_source.h"

namespace phalanx {
namespace {

using testing::random_setup;
using testing::small_setup;

/// What a data set was told to expect last, by whichever stage.
using Expected = std::shared_ptr<std::set<size_t>>;

/// A source of shards that keeps what it was told to expect.
class ShardedSource : public testing::FakeSource {
 public:
  ShardedSource(int64_t place, int64_t num_rows, int64_t length, std::vector<int64_t> shard_rows,
                Expected told)
      : FakeSource(place, num_rows, length),
        expected(*told),
        told_(std::move(told)),
        shard_rows_(std::move(shard_rows)) {}
  std::vector<int64_t> shard_rows() const override { return shard_rows_; }
  bool wants_to_know() const override { return true; }
  void expect(const std::vector<size_t>& shards) const override {
    expected = std::set<size_t>(shards.begin(), shards.end());
    EXPECT_EQ(expected.size(), shards.size());
  }
  size_t shard_of(int64_t row) const {
    const auto after = std::upper_bound(shard_rows_.begin(), shard_rows_.end(), row);
    return static_cast<size_t>(after - shard_rows_.begin()) - 1;
  }
  std::set<size_t>& expected;

 private:
  Expected told_;
  std::vector<int64_t> shard_rows_;
};

/// Shards of about equal size where the setup has none.
std::vector<int64_t> shards_of(const SourceInfo& source, size_t stage) {
  if (!source.shard_rows_by_stage.empty()) return source.shard_rows_by_stage[stage];
  const int64_t rows = source.rows_by_stage[stage];
  return {0, rows / 2, rows};
}

using Sources = std::vector<std::vector<std::shared_ptr<const ShardedSource>>>;

Sources sharded(const testing::TestRun& setup) {
  Sources all(setup.stages.size());
  std::vector<Expected> told;
  for (size_t k = 0; k < setup.sources.size(); ++k) {
    told.push_back(std::make_shared<std::set<size_t>>());
  }
  for (size_t s = 0; s < setup.stages.size(); ++s) {
    for (size_t k = 0; k < setup.sources.size(); ++k) {
      all[s].push_back(std::make_shared<ShardedSource>(
          static_cast<int64_t>(k), setup.sources[k].rows_by_stage[s],
          setup.stages[s].sequence_length, shards_of(setup.sources[k], s), told[k]));
    }
  }
  return all;
}

StageSources plain(const Sources& sources) {
  StageSources all;
  for (const auto& stage : sources) all.emplace_back(stage.begin(), stage.end());
  return all;
}

TEST(ReadAhead, WhatIsReadWasExpectedAndNeverMoreThanWasSaid) {
  constexpr int64_t kSteps = 3;
  int64_t rows_seen = 0, windows_seen = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const auto setup = random_setup(seed, /*plenty=*/true);
    const Sources sources = sharded(setup);
    const PlannedRun run = begin_run(setup.curriculum(), setup.sources);
    ReadAhead ahead(run.plan, plain(sources), kSteps);
    RowSchedule schedule(run.plan);
    Cursor cursor = run.cursor;
    for (; cursor.step < run.plan->end_step();
         cursor = cursor_at(schedule, cursor, cursor.step + 1)) {
      ahead.expect(cursor);
      const auto stage = static_cast<size_t>(run.plan->step_rows(cursor.step).stage);
      for (int64_t step = cursor.step; step < cursor.step + kSteps; ++step) {
        if (step >= run.plan->end_step()) break;
        if (run.plan->step_rows(step).stage != static_cast<int32_t>(stage)) break;
        for (const RowDraw& draw : schedule.step(step)) {
          const ShardedSource& source = *sources[stage][static_cast<size_t>(draw.source)];
          ASSERT_TRUE(source.expected.contains(source.shard_of(draw.window)))
              << "seed " << seed << " step " << step << " source " << draw.source;
          ++rows_seen;
        }
      }
      for (size_t k = 0; k < setup.sources.size(); ++k) {
        const auto held = static_cast<int64_t>(sources[stage][k]->expected.size());
        ASSERT_LE(held, ahead.max_shards(stage, k, 0)) << "seed " << seed;
        windows_seen += setup.sources[k].shuffle_window > 0 && held > 0;
      }
    }
  }
  EXPECT_GT(rows_seen, 10'000);
  EXPECT_GT(windows_seen, 1'000);
}

TEST(ReadAhead, FetchesTheNextGroupAheadAndNothingPastTheEnd) {
  auto setup = small_setup();
  std::vector<int64_t> begins;
  for (int64_t row = 0; row <= 300; row += 30) begins.push_back(row);
  setup.sources[2].shuffle_window = 2;
  setup.sources[2].shard_rows_by_stage = {begins};
  const Sources sources = sharded(setup);
  const PlannedRun run = begin_run(setup.curriculum(), setup.sources);
  ReadAhead ahead(run.plan, plain(sources), 0);
  const EpochOrder order(setup.data.seed, setup.sources[2], 0, 0);
  std::vector<size_t> two = order.group_at(0).shards;
  const ShardGroup next = order.group_at(order.group_at(0).end);
  two.insert(two.end(), next.shards.begin(), next.shards.end());
  EXPECT_EQ(ahead.shards(0, 2, 0, 300), two);
  EXPECT_EQ(ahead.shards(0, 2, 0, 10), order.group_at(0).shards);
  EXPECT_TRUE(ahead.shards(0, 2, 300, 300).empty());
  EXPECT_EQ(ahead.shards(0, 1, 0, 10).size(), 2u);  // no window: all that it has
}

/// Ranks of a host share a cache, and each holds what it expects.
TEST(ReadAhead, ReadersThatAreApartHoldNoMoreThanWasSaid) {
  constexpr int64_t kSteps = 3, kApart = 3;
  int64_t most_over_one = 0, changes = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const auto setup = random_setup(seed, /*plenty=*/true);
    const Sources sources = sharded(setup);
    const PlannedRun run = begin_run(setup.curriculum(), setup.sources);
    ReadAhead ahead(run.plan, plain(sources), kSteps);
    RowSchedule schedule(run.plan);
    std::deque<std::map<size_t, std::set<size_t>>> expected;  // of the last readers, by source
    int32_t stage_before = -1;
    for (Cursor cursor = run.cursor; cursor.step < run.plan->end_step();
         cursor = cursor_at(schedule, cursor, cursor.step + 1)) {
      ahead.expect(cursor);
      const int32_t stage = run.plan->step_rows(cursor.step).stage;
      changes += stage != std::exchange(stage_before, stage) && cursor.step > 0;
      expected.emplace_back();
      if (expected.size() > kApart + 1) expected.pop_front();
      for (size_t k = 0; k < setup.sources.size(); ++k) {
        expected.back()[k] = sources[static_cast<size_t>(stage)][k]->expected;
        std::set<size_t> held;
        for (auto& reader : expected) held.insert(reader[k].begin(), reader[k].end());
        const auto count = static_cast<int64_t>(held.size());
        ASSERT_LE(count, ahead.max_shards(static_cast<size_t>(stage), k, kApart))
            << "seed " << seed << " step " << cursor.step << " source " << k;
        most_over_one =
            std::max(most_over_one, count - ahead.max_shards(static_cast<size_t>(stage), k, 0));
      }
    }
  }
  EXPECT_GT(most_over_one, 0) << "what one reader holds must not be enough for all";
  EXPECT_GT(changes, 20) << "of stages";
}

TEST(ReadAhead, WithdrawsWhatTheNextStageDoesNotRead) {
  int64_t withdrawn = 0, kept = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const auto setup = random_setup(seed, /*plenty=*/true);
    const Sources sources = sharded(setup);
    const PlannedRun run = begin_run(setup.curriculum(), setup.sources);
    StageSources drawn = plain(sources);
    ReadAhead all(run.plan, drawn, 3);
    for (size_t s = 0; s < drawn.size(); ++s) {
      for (size_t k = 0; k < setup.sources.size(); ++k) {
        if (!all.draws(s, k)) drawn[s][k] = nullptr;
      }
    }
    ReadAhead ahead(run.plan, drawn, 3);
    RowSchedule schedule(run.plan);
    for (Cursor cursor = run.cursor; cursor.step < run.plan->end_step();
         cursor = cursor_at(schedule, cursor, cursor.step + 1)) {
      ahead.expect(cursor);
      const auto stage = static_cast<size_t>(run.plan->step_rows(cursor.step).stage);
      for (size_t k = 0; k < setup.sources.size(); ++k) {
        if (drawn[stage][k]) {
          kept += !sources[stage][k]->expected.empty();
        } else {
          ASSERT_TRUE(sources[stage][k]->expected.empty()) << "seed " << seed;
          withdrawn += stage > 0 && drawn[stage - 1][k];
        }
      }
    }
  }
  EXPECT_GT(withdrawn, 100);
  EXPECT_GT(kept, 1'000);
}

/// Groups that last longer than the readers look ahead or are apart.
TEST(ReadAhead, ReadersAtAnEdgeHoldThreeGroups) {
  auto setup = small_setup();
  setup.sources[2].shuffle_window = 1;
  setup.sources[2].shard_rows_by_stage = {{0, 100, 200, 300}};
  const PlannedRun run = begin_run(setup.curriculum(), setup.sources);
  ReadAhead ahead(run.plan, plain(sharded(setup)), 1);
  std::set<size_t> held;
  for (const int64_t begin : {99, 100}) {
    for (const size_t shard : ahead.shards(0, 2, begin, 300)) held.insert(shard);
  }
  EXPECT_EQ(held.size(), 3u);
  EXPECT_EQ(ahead.max_shards(0, 2, 0), 2);
  EXPECT_EQ(ahead.max_shards(0, 2, 1), 3);
}

TEST(ReadAhead, AReadThatWaitsEndsWithThePrefetcher) {
  const auto setup = small_setup();
  auto sources = setup.row_sources();
  const auto waiting = std::make_shared<testing::WaitingSource>(2, 300, 6);
  sources[0][2] = waiting;
  Prefetcher ahead(BatchLoader(begin_run(setup.curriculum(), setup.sources), sources, 0, 1), 2);
  waiting->wait_for_a_reader();
}  // without the waking this would never return

}  // namespace
}  // namespace phalanx
