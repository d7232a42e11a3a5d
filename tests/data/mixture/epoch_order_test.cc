#include "data/mixture/epoch_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "data/mixture/resume.h"
#include "tests/data/mixture/fake_source.h"

namespace phalanx {
namespace {

using testing::Dice;

/// A source of `num_shards` shards, some of them without rows.
SourceInfo sharded_source(Dice& dice, int64_t num_shards, int64_t window) {
  SourceInfo source{"web", "", {}};
  std::vector<int64_t> begins = {0};
  for (int64_t m = 0; m < num_shards; ++m) {
    begins.push_back(begins.back() + (dice.between(0, 4) == 0 ? 0 : dice.between(1, 60)));
  }
  if (begins.back() == 0) begins.back() = 1;
  source.rows_by_stage = {begins.back()};
  source.shuffle_window = window;
  source.shard_rows_by_stage = {begins};
  return source;
}

TEST(EpochOrder, AnEpochHasEveryRowOnceAndTakesAWindowOfShardsAtATime) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    Dice dice(seed);
    const int64_t num_shards = dice.between(2, 20);
    const int64_t window = dice.between(1, num_shards - 1);
    const SourceInfo source = sharded_source(dice, num_shards, window);
    const std::vector<int64_t>& begins = source.shard_rows_by_stage[0];
    const EpochOrder order(seed, source, 0, 3);
    std::vector<bool> seen(static_cast<size_t>(begins.back()), false);
    std::set<int64_t> open;  // shards since the last window began
    std::map<int64_t, int64_t> left;
    for (int64_t m = 0; m < num_shards; ++m) {
      if (begins[m + 1] > begins[m]) left[m] = begins[m + 1] - begins[m];
    }
    for (int64_t i = 0; i < begins.back(); ++i) {
      const int64_t row = order(i);
      ASSERT_FALSE(seen.at(static_cast<size_t>(row))) << "seed " << seed;
      seen[static_cast<size_t>(row)] = true;
      const int64_t shard =
          std::upper_bound(begins.begin(), begins.end(), row) - begins.begin() - 1;
      open.insert(shard);
      ASSERT_LE(static_cast<int64_t>(open.size()), window) << "seed " << seed;
      if (--left[shard] > 0) continue;
      // A window is over when all that was begun is used up.
      const bool over =
          std::all_of(open.begin(), open.end(), [&](int64_t m) { return left[m] == 0; });
      if (over) open.clear();
    }
  }
}

TEST(EpochOrder, WithoutAWindowOrWithOneOfAllShardsItIsOnePermutation) {
  Dice dice(5);
  SourceInfo source = sharded_source(dice, 9, 9);
  const KeyedPermutation all(source.rows_by_stage[0], window_key(5, "web", 2));
  for (const int64_t window : {0, 9, 1000}) {
    source.shuffle_window = window;
    const EpochOrder order(5, source, 0, 2);
    for (int64_t i = 0; i < source.rows_by_stage[0]; ++i) ASSERT_EQ(order(i), all(i));
  }
  source.shuffle_window = 3;
  const EpochOrder first(5, source, 0, 2), second(5, source, 0, 3);
  int64_t same = 0;
  for (int64_t i = 0; i < source.rows_by_stage[0]; ++i) same += first(i) == second(i);
  EXPECT_LT(same, source.rows_by_stage[0] / 4);
  source.shard_rows_by_stage.clear();
  EXPECT_THROW(EpochOrder(5, source, 0, 2), std::invalid_argument);
}

testing::TestRun setup_with_fingerprint(const std::string& fingerprint) {
  testing::TestRun setup = testing::small_setup();
  setup.sources[1].fingerprint = fingerprint;
  return setup;
}

std::string resume_message(const std::string& before, const std::string& now) {
  const testing::TestRun old = setup_with_fingerprint(before), next = setup_with_fingerprint(now);
  const PlannedRun run = begin_run(old.curriculum(), old.sources);
  RowSchedule schedule(run.plan);
  const Cursor cursor = cursor_at(schedule, run.cursor, 3);
  try {
    const PlannedRun resumed =
        resume_run(next.curriculum(), next.sources, cursor, CurriculumFrom::kStart);
    return resumed.cursor.sources[1].fingerprint;
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
}

TEST(Fingerprints, BinsOfAnotherLengthMayBeAddedAndNothingElseMayChange) {
  EXPECT_EQ(resume_message("aa/bins-8:11", "aa/bins-8:11"), "aa/bins-8:11");
  EXPECT_EQ(resume_message("aa/bins-8:11", "aa/bins-16:22/bins-8:11"), "aa/bins-16:22/bins-8:11");
  EXPECT_EQ(resume_message("aa/bins-16:22", "aa/bins-8:11"), "aa/bins-16:22/bins-8:11");
  const std::string refused = "data.sources.code: expected the data with fingerprint ";
  EXPECT_EQ(resume_message("aa/bins-8:11", "aa/bins-8:12"),
            refused +
                "aa/bins-8:11, of which the ledger counts rows, found aa/bins-8:12: restore "
                "it, or give the new data another name");
  const std::string window = "data.sources.code.shuffle_window: expected ";
  const std::tuple<const char*, const char*, std::string> cases[] = {
      {"aa", "bb", refused},
      {"aa/bins-8:1", "bb/bins-8:1", refused},
      {"aa", "aa/bins-8:11", "data.packing: expected windows, "},
      {"aa/bins-8:11", "aa", "data.packing: expected best_fit, "},
      {"aa", "aa/shuffle_window:2", window + "0, "},
      {"aa/shuffle_window:2", "aa", window + "2, "},
      {"aa/shuffle_window:2", "aa/shuffle_window:3", window + "2, "}};
  for (const auto& [before, now, message] : cases) {
    EXPECT_EQ(resume_message(before, now).rfind(message, 0), 0u) << resume_message(before, now);
  }
}

}  // namespace
}  // namespace phalanx
