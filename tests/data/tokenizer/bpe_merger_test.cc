#include "data/tokenizer/bpe_merger.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/tokenizer/encoder.h"
#include "tests/data/tokenizer/tokenizer_samples.h"

namespace phalanx {
namespace {

// Ids 0..3 and merges whose ranks are not in the order of their making.
std::vector<Merge> tangled_merges() {
  return {{0, 1, 10, 5},  {10, 10, 11, 2}, {1, 0, 12, 7},  {12, 2, 13, 1}, {2, 2, 14, 3},
          {14, 2, 15, 9}, {2, 14, 15, 9},  {11, 3, 16, 0}, {3, 3, 17, 5}};
}

// The definition: again and again the pair of least rank, the leftmost of equals.
std::vector<int32_t> merged_by_definition(std::vector<int32_t> ids,
                                          const std::vector<Merge>& merges) {
  while (true) {
    const Merge* best = nullptr;
    size_t at = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      for (const Merge& merge : merges) {
        if (merge.left != ids[i] || merge.right != ids[i + 1]) continue;
        if (best == nullptr || merge.rank < best->rank) {
          best = &merge;
          at = i;
        }
      }
    }
    if (best == nullptr) return ids;
    ids[at] = best->result;
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(at) + 1);
  }
}

std::vector<int32_t> keyed_ids(size_t size, uint64_t key) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < size; ++i) {
    key = key * 6364136223846793005u + 1442695040888963407u;
    ids.push_back(static_cast<int32_t>(key >> 62));
  }
  return ids;
}

TEST(BpeMerger, short_and_long_pieces_follow_the_definition) {
  const BpeMerger merger(tangled_merges());
  MergeScratch scratch;
  for (uint64_t key = 0; key < 300; ++key) {
    const std::vector<int32_t> ids = keyed_ids(static_cast<size_t>(key % 100), key);
    std::vector<int32_t> merged = ids;
    merger.merge(merged, 0, scratch);
    EXPECT_EQ(merged, merged_by_definition(ids, tangled_merges())) << "key " << key;
  }
}

TEST(BpeMerger, bytes_are_merged_as_the_tokens_they_are) {
  BpeMerger merger(tangled_merges());
  std::vector<int32_t> byte_ids(256, 100);
  for (int32_t id = 0; id < 4; ++id) byte_ids[static_cast<size_t>('a' + id)] = id;
  merger.index_bytes(byte_ids);
  MergeScratch scratch;
  for (uint64_t key = 0; key < 300; ++key) {
    std::vector<int32_t> ids = keyed_ids(static_cast<size_t>(key % 100), key);
    std::string piece;
    for (const int32_t id : ids) piece += static_cast<char>('a' + id);
    std::vector<int32_t> merged = {7};
    merger.merge_bytes(piece, merged, scratch);
    std::vector<int32_t> expected = merged_by_definition(ids, tangled_merges());
    expected.insert(expected.begin(), 7);
    EXPECT_EQ(merged, expected) << "key " << key;
  }
}

TEST(BpeMerger, leaves_what_stands_before_the_piece) {
  const BpeMerger merger(tangled_merges());
  MergeScratch scratch;
  std::vector<int32_t> ids = {0, 0, 1};
  merger.merge(ids, 1, scratch);
  EXPECT_EQ(ids, (std::vector<int32_t>{0, 10}));
}

// Counts steps instead of seconds: n log n of them allow no quadratic path.
TEST(BpeMerger, work_grows_with_the_text_on_texts_that_are_one_piece) {
  const Tokenizer tokenizer(testing::sample_parts());
  for (const char letter : {'a', '^', ' ', '7', '\n', '\xFF'}) {
    for (const size_t size : {size_t{1000}, size_t{100'000}, size_t{10'000'000}}) {
      Encoder encoder(tokenizer);
      std::vector<int32_t> ids;
      encoder.encode(std::string(size, letter), ids);
      EXPECT_LE(encoder.num_steps(), 8 * size) << "letter " << int{letter} << " x " << size;
    }
  }
}

}  // namespace
}  // namespace phalanx
