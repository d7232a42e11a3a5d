// Sorted runs and their merge, against all entries sorted in memory.
#include "data/shards/run_merge.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/data/shards/scratch.h"

namespace phalanx {
namespace {

std::vector<int32_t> ids_of(const OrderKey& order) {
  const auto line = static_cast<int32_t>(order.line);
  return std::vector<int32_t>(static_cast<size_t>(line * 7 % 50 + 1),
                              static_cast<int32_t>(order.file) * 1000 + line);
}

class Runs : public ::testing::TestWithParam<TokenType> {
 protected:
  Runs() {
    for (uint64_t run = 0; run < 7; ++run) {
      RunBuffer buffer(GetParam(), int64_t{1} << 20);
      for (int64_t line = 1; line <= 30 * static_cast<int64_t>(run); ++line) {
        RunEntry entry;
        entry.order = order_key(run, line, 5);
        buffer.add(entry, ids_of(entry.order));
        all_.push_back(entry.order);
      }
      buffer.sort();
      const RunBuffer* const one = &buffer;
      const std::filesystem::path path = scratch_ / ("run" + std::to_string(run));
      runs_.emplace_back(path, write_run(path, std::span(&one, 1)).bytes, run % 2 == 0);
    }
    std::sort(all_.begin(), all_.end());
  }

  void expect_range(size_t begin, size_t end, int64_t buffer_bytes) {
    const OrderRange range{all_[begin],
                           end < all_.size() ? std::optional(all_[end]) : std::nullopt};
    RunMerge merge(runs_, range, buffer_bytes, true);
    std::vector<int32_t> ids;
    size_t place = begin;
    for (; const RunEntry* entry = merge.next(); ++place) {
      ASSERT_LT(place, all_.size());
      ASSERT_EQ(entry->order, all_[place]);
      if (place % 3 == 0) continue;  // documents of the other part are passed over
      merge.read_ids(ids);
      ASSERT_EQ(ids, ids_of(entry->order));
    }
    EXPECT_EQ(place, end);
  }

  const Scratch scratch_;
  std::vector<RunFile> runs_;
  std::vector<OrderKey> all_;
};

TEST_P(Runs, MergeToWhatTheRangeSaysWithAnyBuffer) {
  for (const size_t begin : {size_t{0}, size_t{1}, size_t{77}, all_.size() - 60}) {
    for (const size_t end : {begin + 1, begin + 50, all_.size()}) {
      for (const int64_t buffer : {224, 1200, 400000}) expect_range(begin, end, buffer);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Runs, ::testing::Values(TokenType::kUint16, TokenType::kInt32));

}  // namespace
}  // namespace phalanx
