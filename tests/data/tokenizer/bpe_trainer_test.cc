#include "data/tokenizer/bpe_trainer.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace phalanx {
namespace {

TokenizerParts train(std::vector<std::string> documents, TrainOptions options) {
  size_t next = 0;
  return train_bpe(
      [&](std::string& document) {
        if (next == documents.size()) return false;
        document = documents[next++];
        return true;
      },
      options);
}

std::vector<std::string> made_tokens(const TokenizerParts& parts) {
  const auto end = parts.tokens.end() - static_cast<ptrdiff_t>(parts.specials.size());
  return {parts.tokens.begin() + 256, end};
}

std::string message_of(const TrainOptions& options, const std::string& text) {
  try {
    train({text}, options);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

TEST(TrainBpe, merges_the_most_frequent_pair_and_of_equals_the_least_ids) {
  // "ab" 3 times; then "abc" twice and "xy" twice: "x" "y" have lower ids than "ab" "c".
  const TokenizerParts parts =
      train({"abc", "abc", "ab", "xy", "xy"}, {.vocab_size = 259, .specials = {}});
  EXPECT_EQ(made_tokens(parts), (std::vector<std::string>{"ab", "xy", "abc"}));
}

TEST(TrainBpe, bytes_come_first_in_the_order_of_stand_ins_and_specials_last) {
  const TokenizerParts parts = train({"abab"}, {.vocab_size = 262});
  EXPECT_EQ(parts.tokens[0], "!");
  EXPECT_EQ(parts.tokens[188], std::string(1, '\0'));
  EXPECT_EQ(parts.tokens[256], "ab");
  const Tokenizer tokenizer(parts);
  EXPECT_EQ(tokenizer.vocab_size(), 262);
  EXPECT_EQ(tokenizer.end_of_document(), 257);
  EXPECT_EQ(tokenizer.special_id("<|im_start|>"), 258);
  EXPECT_EQ(tokenizer.special_id("<|im_end|>"), 259);
  EXPECT_EQ(tokenizer.special_id("<|im_sep|>"), 260);
  EXPECT_EQ(tokenizer.special_id("<|pad|>"), 261);
}

TEST(TrainBpe, the_order_of_documents_does_not_matter) {
  const std::vector<std::string> documents = {"the cat sat", "on the mat", "then that cat",
                                              "a hat"};
  const std::vector<std::string> reversed(documents.rbegin(), documents.rend());
  const TrainOptions options{.vocab_size = 275};
  EXPECT_EQ(Tokenizer(train(documents, options)).fingerprint(),
            Tokenizer(train(reversed, options)).fingerprint());
}

TEST(TrainBpe, the_number_of_threads_does_not_matter) {
  std::vector<std::string> documents;
  for (int i = 0; i < 3000; ++i) {  // more than threads take at once
    documents.push_back("word" + std::to_string(i % 97) +
                        std::string(900, static_cast<char>('a' + i % 26)));
  }
  TrainOptions options{.vocab_size = 400};
  const std::string alone = Tokenizer(train(documents, options)).fingerprint();
  options.num_threads = 4;
  EXPECT_EQ(Tokenizer(train(documents, options)).fingerprint(), alone);
}

TEST(TrainBpe, an_error_in_reading_ends_all_threads) {
  int given = 0;
  const auto next = [&given](std::string& document) {
    if (++given > 2500) throw std::invalid_argument("broken");
    document.assign(1000, 'a');
    return true;
  };
  EXPECT_THROW(train_bpe(next, {.vocab_size = 262, .num_threads = 3}), std::invalid_argument);
}

TEST(TrainBpe, text_that_is_not_utf8_trains_too) {
  const TokenizerParts parts = train({"\xFF\xFE \xFF\xFE"}, {.vocab_size = 257, .specials = {}});
  EXPECT_EQ(made_tokens(parts), (std::vector<std::string>{"\xFF\xFE"}));
}

TEST(TrainBpe, impossible_sizes_are_refused) {
  EXPECT_EQ(message_of({.vocab_size = 260}, "abc"),
            "vocabulary size: expected 261..2097152 (256 bytes and 5 special tokens at least), "
            "found 260");
  EXPECT_EQ(message_of({.vocab_size = 1000}, "abc"),
            "text to train on: expected enough for a vocabulary of 1000, found enough for 263");
  EXPECT_EQ(message_of({.vocab_size = 300, .specials = {"<x>", "<x>"}}, "abc"),
            "special tokens[1]: expected a name not empty and not given before, found \"<x>\"");
}

}  // namespace
}  // namespace phalanx
