#include "data/shards/length_statistics.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "data/shards/document_lengths.h"
#include "data/shards/shard_writer.h"
#include "tests/data/shards/scratch.h"

namespace phalanx {
namespace {

TEST(LengthStatistics, SaysNothingOfNothing) {
  const LengthStatistics none;
  EXPECT_EQ(none.count(), 0);
  EXPECT_EQ(none.quantile(500), 0);
  EXPECT_EQ(none.mean(), 0);
  EXPECT_TRUE(none.histogram().empty());
}

/// The definition, from all lengths sorted.
int64_t quantile_of(std::vector<int64_t> lengths, int per_mille) {
  std::sort(lengths.begin(), lengths.end());
  const auto n = static_cast<int64_t>(lengths.size());
  return lengths[static_cast<size_t>(std::max<int64_t>(1, (n * per_mille + 999) / 1000) - 1)];
}

TEST(LengthStatistics, QuantilesAreExactBelow65536AndNearAbove) {
  std::vector<int64_t> lengths;
  LengthStatistics statistics;
  uint64_t state = 1;
  for (int i = 0; i < 4999; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const auto length = static_cast<int64_t>((state >> 33) % (i % 10 == 0 ? 3000000000u : 60000u));
    lengths.push_back(length);
    statistics.add(length);
  }
  for (int per_mille = 0; per_mille <= 1000; per_mille += 25) {
    const int64_t expected = quantile_of(lengths, per_mille);
    const int64_t found = statistics.quantile(per_mille);
    EXPECT_LE(found, expected) << per_mille;
    EXPECT_GE(found, expected < 65536 ? expected : expected - expected / 1000) << per_mille;
  }
  int64_t sum = 0;
  for (const int64_t length : lengths) sum += length;
  EXPECT_EQ(statistics.sum(), sum);
  EXPECT_EQ(statistics.min(), *std::min_element(lengths.begin(), lengths.end()));
  EXPECT_EQ(statistics.max(), *std::max_element(lengths.begin(), lengths.end()));
}

TEST(LengthStatistics, AQuantileIsNotBelowTheShortest) {
  LengthStatistics statistics;
  statistics.add((int64_t{1} << 30) + 12345);
  EXPECT_EQ(statistics.quantile(500), (int64_t{1} << 30) + 12345);
}

TEST(LengthStatistics, BarsArePowersOfTwo) {
  LengthStatistics statistics;
  for (const int64_t length : {0, 0, 1, 2, 3, 4, 7, 8, 65535, 65536, 131071, 131072}) {
    statistics.add(length);
  }
  std::vector<std::array<int64_t, 3>> bars;
  for (const auto& bar : statistics.histogram()) {
    if (bar.count > 0) bars.push_back({bar.low, bar.high, bar.count});
  }
  EXPECT_EQ(bars, (std::vector<std::array<int64_t, 3>>{{0, 0, 2},
                                                       {1, 1, 1},
                                                       {2, 3, 2},
                                                       {4, 7, 2},
                                                       {8, 15, 1},
                                                       {32768, 65535, 1},
                                                       {65536, 131071, 2},
                                                       {131072, 262143, 1}}));
  EXPECT_EQ(statistics.histogram().size(), 19u);  // empty ones between are shown
  EXPECT_EQ(statistics.empty(), 2);
}

TEST(DocumentLengths, ComeInOrderOverManyBlocks) {
  const Scratch scratch;
  const auto length = [](int64_t i) { return 1 + (i * 31) % 7; };
  constexpr int64_t kDocuments = 20000;  // the index is read 8192 entries at a time
  ShardWriter writer(scratch / "s", TokenType::kUint16);
  for (int64_t i = 0; i < kDocuments; ++i) {
    writer.add_document(std::vector<int32_t>(static_cast<size_t>(length(i)), 5));
  }
  writer.finish();
  DocumentLengths lengths{ShardFile(scratch / "s")};
  for (int64_t i = 0; i < kDocuments; ++i) ASSERT_EQ(lengths.next(), length(i)) << i;
  EXPECT_EQ(lengths.next(), std::nullopt);
  EXPECT_EQ(lengths.next(), std::nullopt);
}

TEST(DocumentLengths, NamesAnEntryThatCannotBe) {
  const Scratch scratch;
  ShardWriter writer(scratch / "s", TokenType::kUint16);
  for (int i = 0; i < 3; ++i) writer.add_document(std::vector<int32_t>{1, 2});
  writer.finish();
  const auto file = std::make_unique<const ShardFile>(scratch / "s");
  const std::string idx = slurp(scratch / "s.idx");
  const auto message_with = [&](size_t offset, char value) {
    std::string changed = idx;
    changed[offset] = value;
    spill(scratch / "s.idx", changed);
    return message_of<std::invalid_argument>([&] {
      DocumentLengths lengths(*file);
      while (lengths.next()) {
      }
    });
  };
  const std::string name = (scratch / "s.idx").string();
  EXPECT_EQ(message_with(34 + 4 + 3, '\x80'), name +
                                                  ": length 1: expected 0 or more, found "
                                                  "-2147483646");
  EXPECT_EQ(message_with(34 + 12 * 3 + 8 * 2, '\7'), name +
                                                         ": document boundary 2: expected 1 to "
                                                         "3, found 7");
  EXPECT_EQ(message_with(34 + 12 * 3 + 8 * 2, 0), name +
                                                      ": document boundary 2: expected 1 to 3, "
                                                      "found 0");
}

}  // namespace
}  // namespace phalanx
