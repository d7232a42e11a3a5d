#include "data/mixture/read_ahead.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <set>

#include "data/mixture/prefetcher.h"
#include "data/mixture/resume.h"
#include "tests/data/mixture/fake_source.h"

namespace phalanx {
namespace {

using testing::random_setup;
using testing::small_setup;

/// A source of shards that keeps what it was told to expect.
class ShardedSource : public testing::FakeSource {
 public:
  ShardedSource(int64_t place, int64_t num_rows, int64_t length, std::vector<int64_t> shard_rows)
      : FakeSource(place, num_rows, length), shard_rows_(std::move(shard_rows)) {}
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
  mutable std::set<size_t> expected;

 private:
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
  for (size_t s = 0; s < setup.stages.size(); ++s) {
    for (size_t k = 0; k < setup.sources.size(); ++k) {
      all[s].push_back(std::make_shared<ShardedSource>(
          static_cast<int64_t>(k), setup.sources[k].rows_by_stage[s],
          setup.stages[s].sequence_length, shards_of(setup.sources[k], s)));
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
        ASSERT_LE(held, ahead.max_shards(stage, k)) << "seed " << seed;
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

/// Its rows come only when somebody wakes up who waits for them, with an error.
class WaitingSource : public testing::FakeSource {
 public:
  using FakeSource::FakeSource;
  void read(int64_t, Row&) const override {
    std::unique_lock lock(mutex_);
    const int64_t woken = woken_;
    waits_ = true;
    changed_.notify_all();
    changed_.wait(lock, [&] { return woken_ != woken; });
    throw std::runtime_error("woken up");
  }
  void stop_waiting() const override {
    const std::lock_guard lock(mutex_);
    ++woken_;
    changed_.notify_all();
  }
  void wait_for_a_reader() const {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waits_; });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable int64_t woken_ = 0;
  mutable bool waits_ = false;
};

TEST(ReadAhead, AReadThatWaitsEndsWithThePrefetcher) {
  const auto setup = small_setup();
  auto sources = setup.row_sources();
  const auto waiting = std::make_shared<WaitingSource>(2, 300, 6);
  sources[0][2] = waiting;
  Prefetcher ahead(BatchLoader(begin_run(setup.curriculum(), setup.sources), sources, 0, 1), 2);
  waiting->wait_for_a_reader();
}  // without the waking this would never return

}  // namespace
}  // namespace phalanx
