#include "data/tokenizer/long_merger.h"

#include <gtest/gtest.h>

#include <map>

#include "data/tokenizer/byte_alphabet.h"

namespace phalanx {
namespace {

// A random vocabulary over few letters, as training makes them: each token of two made before.
struct RandomTokens {
  explicit RandomTokens(uint64_t key) : state(key * 2 + 1) {
    for (int byte = 0; byte < 256; ++byte) {
      tokens.emplace_back(1, static_cast<char>(byte));
      byte_ids.push_back(byte);
    }
    std::map<std::string, int32_t> known;
    std::vector<int32_t> usable = {'a', 'b', 'c'};
    while (merges.size() < 40) {
      const int32_t left = usable[next(usable.size())];
      const int32_t right = usable[next(usable.size())];
      const std::string bytes =
          tokens[static_cast<size_t>(left)] + tokens[static_cast<size_t>(right)];
      const auto id = static_cast<int32_t>(tokens.size());
      if (bytes.size() > 12 || !known.emplace(bytes, id).second) continue;
      merges.push_back({left, right, id, static_cast<uint32_t>(merges.size())});
      tokens.push_back(bytes);
      usable.push_back(id);
    }
  }

  size_t next(size_t end) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>(state >> 33) % end;
  }

  uint64_t state;
  std::vector<std::string> tokens;
  std::vector<int32_t> byte_ids;
  std::vector<Merge> merges;
};

TEST(LongMerger, gives_what_the_merges_give) {
  LongScratch scratch;
  MergeScratch merge_scratch;
  for (uint64_t key = 0; key < 200; ++key) {
    RandomTokens random(key);
    ASSERT_TRUE(LongMerger::can_take(random.merges, random.byte_ids, random.tokens));
    const LongMerger merger(random.merges, random.byte_ids, random.tokens);
    const BpeMerger by_merges(random.merges);
    LongScratch fresh;
    for (int round = 0; round < 20; ++round) {
      std::string text;
      const size_t letters = 1 + random.next(3);
      for (size_t size = random.next(120) + 1; text.size() < size;) {
        text += static_cast<char>('a' + random.next(letters));
      }
      std::vector<int32_t> expected(text.begin(), text.end());
      by_merges.merge(expected, 0, merge_scratch);
      std::vector<int32_t> ids = {7};
      merger.encode(text, ids, fresh);
      expected.insert(expected.begin(), 7);
      ASSERT_EQ(ids, expected) << "key " << key << ": " << text;
    }
  }
}

TEST(LongMerger, merges_out_of_order_are_not_taken) {
  RandomTokens random(1);
  std::vector<Merge> twice = random.merges;
  twice.push_back(twice.back());
  EXPECT_FALSE(LongMerger::can_take(twice, random.byte_ids, random.tokens));
  std::vector<Merge> early = random.merges;
  const auto uses_made = std::find_if(early.begin(), early.end(),
                                      [](const Merge& merge) { return merge.left >= 256; });
  ASSERT_NE(uses_made, early.end());
  std::rotate(early.begin(), uses_made, uses_made + 1);
  EXPECT_FALSE(LongMerger::can_take(early, random.byte_ids, random.tokens));
  std::vector<Merge> equal = random.merges;
  equal[1].rank = equal[0].rank;
  EXPECT_FALSE(LongMerger::can_take(equal, random.byte_ids, random.tokens));
}

// Counts steps instead of seconds.
TEST(LongMerger, work_grows_with_the_text) {
  RandomTokens random(3);
  const LongMerger merger(random.merges, random.byte_ids, random.tokens);
  for (const size_t size : {size_t{1000}, size_t{1'000'000}}) {
    for (const bool mixed : {false, true}) {
      std::string text(size, 'a');
      for (size_t i = 0; mixed && i < size; ++i) text[i] = static_cast<char>('a' + random.next(3));
      LongScratch scratch;
      std::vector<int32_t> ids;
      merger.encode(text, ids, scratch);
      EXPECT_LE(scratch.num_steps, 8 * size);
    }
  }
}

}  // namespace
}  // namespace phalanx
