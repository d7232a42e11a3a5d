#include "data/tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "data/tokenizer/encoder.h"
#include "tests/data/tokenizer/tokenizer_samples.h"

namespace phalanx {
namespace {

using Ids = std::vector<int32_t>;

constexpr int32_t kA = 'a' - '!';
constexpr int32_t kB = 'b' - '!';

template <typename Action>
std::string message_of(const Action& action) {
  try {
    action();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

std::string utf8(char32_t c) {
  const auto tail = [c](int shift) { return static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | (c >> 6)), tail(0)};
  if (c < 0x10000) return {static_cast<char>(0xE0 | (c >> 12)), tail(6), tail(0)};
  return {static_cast<char>(0xF0 | (c >> 18)), tail(12), tail(6), tail(0)};
}

TEST(Tokenizer, golden_ids) {
  const Tokenizer tokenizer(testing::sample_parts());
  EXPECT_EQ(tokenizer.encode("ab"), (Ids{256}));
  EXPECT_EQ(tokenizer.encode("ababab"), (Ids{257, 256}));
  EXPECT_EQ(tokenizer.encode("aab"), (Ids{kA, 256}));
  EXPECT_EQ(tokenizer.encode("aaaaaaa"), (Ids{259, 258, kA}));
  EXPECT_EQ(tokenizer.encode("b ab"), (Ids{kB, 260}));
  EXPECT_EQ(tokenizer.encode(""), Ids{});
}

TEST(Tokenizer, hostile_texts_come_back_byte_for_byte) {
  const Tokenizer tokenizer(testing::sample_parts());
  for (const std::string& text : testing::hostile_texts()) {
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
}

TEST(Tokenizer, every_pair_of_bytes_comes_back) {
  const Tokenizer tokenizer(testing::sample_parts());
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string text = {static_cast<char>(first), static_cast<char>(second)};
      ASSERT_EQ(tokenizer.decode(tokenizer.encode(text)), text) << first << " " << second;
    }
  }
}

TEST(Tokenizer, every_scalar_value_comes_back) {
  const Tokenizer tokenizer(testing::sample_parts());
  Encoder encoder(tokenizer);
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    Ids ids;
    encoder.encode(utf8(c), ids);
    ASSERT_EQ(tokenizer.decode(ids), utf8(c)) << static_cast<uint32_t>(c);
  }
}

TEST(Tokenizer, the_cache_changes_no_ids) {
  const Tokenizer tokenizer(testing::sample_parts());
  Encoder tiny(tokenizer, {}, 2);
  Encoder none(tokenizer, {}, 0);
  for (int round = 0; round < 3; ++round) {
    for (const std::string& text : testing::hostile_texts()) {
      Ids cached;
      Ids plain;
      tiny.encode(text, cached);
      none.encode(text, plain);
      EXPECT_EQ(cached, plain) << text;
    }
  }
}

TEST(Tokenizer, specials_in_text_are_text_unless_asked_for) {
  const Tokenizer tokenizer(testing::sample_parts());
  const std::string text = "ab<|endoftext|>ab";
  const Ids plain = tokenizer.encode(text);
  EXPECT_EQ(std::count(plain.begin(), plain.end(), 262), 0);
  EXPECT_EQ(tokenizer.decode(plain), text);
  EXPECT_EQ(tokenizer.encode(text, {.recognise_specials = true}), (Ids{256, 262, 256}));
  EXPECT_EQ(tokenizer.decode(Ids{256, 262, 256}), text);
}

TEST(Tokenizer, a_stripping_special_takes_the_white_space_around_it) {
  TokenizerParts parts = testing::sample_parts();
  parts.specials[1].strip_left = parts.specials[1].strip_right = true;
  const Tokenizer tokenizer(std::move(parts));
  EXPECT_EQ(tokenizer.encode("ab \n<|pad|> \xE3\x80\x80"
                             "ab",
                             {.recognise_specials = true}),
            (Ids{256, 263, 256}));
}

TEST(Tokenizer, white_space_beside_a_stripping_special_stays_where_asked) {
  TokenizerParts parts = testing::sample_parts();
  parts.specials[1].strip_left = parts.specials[1].strip_right = true;
  const Tokenizer tokenizer(std::move(parts));
  const std::string text = "ab <|pad|> ab";
  EXPECT_EQ(tokenizer.encode(text, {.recognise_specials = true}), (Ids{256, 263, 256}));
  const Ids kept = tokenizer.encode(text, {.recognise_specials = true, .keep_space = true});
  EXPECT_EQ(tokenizer.decode(kept), text);
}

TEST(Tokenizer, added_tokens_that_are_not_special_are_found_in_any_text) {
  TokenizerParts parts = testing::sample_parts();
  parts.specials[1].in_any_text = true;
  const Tokenizer tokenizer(std::move(parts));
  const Ids ids = tokenizer.encode("ab<|pad|>ab<|endoftext|>");
  EXPECT_EQ((Ids(ids.begin(), ids.begin() + 3)), (Ids{256, 263, 256}));
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 262), 0);
}

TEST(Tokenizer, texts_and_tokens_sought_after_it_are_normalized) {
  TokenizerParts parts = testing::sample_parts();
  parts.nfc = true;
  parts.tokens[263] = parts.specials[1].content = "e\xCC\x81";
  parts.specials[1].normalized = true;
  const Tokenizer tokenizer(std::move(parts));
  const EncodeOptions options{.recognise_specials = true};
  EXPECT_EQ(tokenizer.encode("ab\xC3\xA9", options), (Ids{256, 263}));
  EXPECT_EQ(tokenizer.encode("abe\xCC\x81", options), (Ids{256, 263}));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("e\xCC\x81")), "\xC3\xA9");
}

TEST(Tokenizer, a_space_comes_in_front_where_the_file_says_so) {
  TokenizerParts parts = testing::sample_parts();
  parts.prefix_space = true;
  const Tokenizer tokenizer(std::move(parts));
  EXPECT_EQ(tokenizer.encode("ab"), (Ids{260}));
  EXPECT_EQ(tokenizer.encode(" ab"), (Ids{260}));
  EXPECT_EQ(tokenizer.encode(""), Ids{});
}

TEST(Tokenizer, whole_pieces_may_go_before_merges) {
  TokenizerParts parts = testing::sample_parts();
  parts.tokens[261] = "aabb";  // which no merge makes
  const Tokenizer by_merges(parts);
  parts.whole_pieces_first = true;
  const Tokenizer by_pieces(parts);
  EXPECT_EQ(by_merges.encode("aabb"), (Ids{kA, 256, kB}));
  EXPECT_EQ(by_pieces.encode("aabb"), (Ids{261}));
  EXPECT_NE(by_merges.fingerprint(), by_pieces.fingerprint());
}

TEST(Tokenizer, size_and_specials) {
  const Tokenizer tokenizer(testing::sample_parts());
  EXPECT_EQ(tokenizer.vocab_size(), 264);
  EXPECT_EQ(tokenizer.end_of_document(), 262);
  EXPECT_EQ(tokenizer.special_id("<|pad|>"), 263);
  EXPECT_EQ(tokenizer.special_id("ab"), std::nullopt);
}

TEST(Tokenizer, the_fingerprint_covers_all_that_changes_ids) {
  const std::string original = Tokenizer(testing::sample_parts()).fingerprint();
  EXPECT_EQ(original, "ec9c4acc5fb147d4");
  TokenizerParts swapped = testing::sample_parts();
  std::swap(swapped.merges[0].rank, swapped.merges[2].rank);
  EXPECT_NE(Tokenizer(swapped).fingerprint(), original);
  TokenizerParts pattern = testing::sample_parts();
  pattern.pattern = SplitPattern::kCl100kTiktoken;
  EXPECT_NE(Tokenizer(pattern).fingerprint(), original);
  TokenizerParts renumbered = testing::sample_parts();
  for (Merge& merge : renumbered.merges) merge.rank = merge.rank * 3 + 1;
  EXPECT_EQ(Tokenizer(renumbered).fingerprint(), original);
}

TEST(Tokenizer, ids_without_a_token_are_refused) {
  const Tokenizer tokenizer(testing::sample_parts());
  EXPECT_EQ(message_of([&] {
              tokenizer.decode(Ids{256, 261});
            }),
            "ids to decode: place 1: id 261 names no token (vocabulary of 264)");
  EXPECT_EQ(message_of([&] { tokenizer.decode(Ids{-1}); }),
            "ids to decode: place 0: id -1 names no token (vocabulary of 264)");
  EXPECT_EQ(message_of([&] { tokenizer.decode(Ids{264}); }),
            "ids to decode: place 0: id 264 names no token (vocabulary of 264)");
}

TEST(Tokenizer, parts_that_do_not_fit_are_refused) {
  TokenizerParts no_byte = testing::sample_parts();
  no_byte.tokens[kB].clear();
  no_byte.merges.clear();
  EXPECT_EQ(message_of([&] { Tokenizer tokenizer(no_byte, "t.json"); }),
            "t.json: vocabulary: expected a token for each of the 256 bytes, found none for 0x62");
  TokenizerParts bad_merge = testing::sample_parts();
  bad_merge.merges[0].result = 258;
  EXPECT_EQ(message_of([&] { Tokenizer tokenizer(bad_merge, "t.json"); }),
            "t.json: merge of ids 64 and 65 into 258: expected the bytes of both, found others");
  TokenizerParts no_end = testing::sample_parts();
  no_end.specials.erase(no_end.specials.begin());
  const Tokenizer tokenizer(no_end);
  EXPECT_EQ(message_of([&] { (void)tokenizer.end_of_document(); }),
            "tokenizer " + tokenizer.fingerprint() + ": has no special token <|endoftext|>");
}

}  // namespace
}  // namespace phalanx
