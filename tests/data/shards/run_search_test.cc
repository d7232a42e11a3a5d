// The place of a key in a sorted run against a plain binary search, and what it costs to find.
#include "data/shards/run_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <random>
#include <vector>

namespace phalanx {
namespace {

class SortedKeys {
 public:
  explicit SortedKeys(std::vector<OrderKey> keys) : keys_(std::move(keys)) {
    std::sort(keys_.begin(), keys_.end());
  }

  const std::vector<OrderKey>& keys() const { return keys_; }
  int64_t size() const { return static_cast<int64_t>(keys_.size()); }

  /// Compares with a plain binary search; returns the number of reads.
  int64_t expect_found(const OrderKey& order) const {
    int64_t reads = 0;
    const int64_t found = count_before(order, size(), [&](int64_t first, auto entries) {
      ++reads;
      ASSERT_GE(first, 0);
      ASSERT_LE(first + static_cast<int64_t>(entries.size()), size());
      for (RunEntry& entry : entries) entry.order = keys_[static_cast<size_t>(first++)];
    });
    EXPECT_EQ(found, std::lower_bound(keys_.begin(), keys_.end(), order) - keys_.begin());
    return reads;
  }

  /// The most reads, over keys of the run, those beside them, and the ends.
  int64_t expect_all_found(size_t step) const {
    int64_t most = std::max(expect_found({}), expect_found({UINT64_MAX, UINT64_MAX, INT64_MAX}));
    for (size_t i = 0; i < keys_.size(); i += step) {
      OrderKey beside = keys_[i];
      most = std::max(most, expect_found(beside));
      ++beside.line;
      most = std::max(most, expect_found(beside));
      beside = {beside.key + 1, 0, 0};
      most = std::max(most, expect_found(beside));
    }
    return most;
  }

 private:
  std::vector<OrderKey> keys_;
};

std::vector<OrderKey> hashed(int64_t count) {
  std::vector<OrderKey> keys;
  for (int64_t line = 1; line <= count; ++line) keys.push_back(order_key(3, line, 5));
  return keys;
}

TEST(RunSearch, FindsEveryPlaceInRunsOfAnySize) {
  for (const int64_t size : {0, 1, 2, 127, 128, 129, 300, 1000}) {
    SortedKeys(hashed(size)).expect_all_found(1);
  }
}

TEST(RunSearch, ReadsLittleWhereKeysAreHashes) {
  const SortedKeys run(hashed(1000000));
  int64_t sum = 0;
  constexpr int64_t kTries = 2000;
  std::mt19937_64 random(11);
  for (int64_t i = 0; i < kTries; ++i) sum += run.expect_found({random(), 0, 0});
  EXPECT_LE(sum, 3 * kTries) << "a plain binary search reads 20 times";
}

TEST(RunSearch, IsNoWorseThanTwiceABinarySearchWhateverTheKeys) {
  constexpr int64_t kCount = 100000;
  std::vector<OrderKey> equal, tight, doubling, two;
  for (int64_t i = 0; i < kCount; ++i) {
    const auto place = static_cast<uint64_t>(i);
    equal.push_back({77, 5, i});
    tight.push_back({place, 0, i});
    doubling.push_back({uint64_t{1} << (place % 64), place, i});
    two.push_back({i == 0 ? 0 : UINT64_MAX, 0, i});
  }
  for (const auto& keys : {equal, tight, doubling, two}) {
    EXPECT_LE(SortedKeys(keys).expect_all_found(97), 2 * std::bit_width(uint64_t{kCount}));
  }
}

}  // namespace
}  // namespace phalanx
