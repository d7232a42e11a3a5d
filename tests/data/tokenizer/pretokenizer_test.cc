#include "data/tokenizer/pretokenizer.h"

#include <gtest/gtest.h>

#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "tests/data/tokenizer/tokenizer_samples.h"

namespace phalanx {
namespace {

using Pieces = std::vector<std::string>;

Pieces pieces_of(const std::string& text, SplitPattern pattern = SplitPattern::kCl100k) {
  const PreTokenizer pretokenizer(pattern);
  Pieces pieces;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = pretokenizer.piece_end(text, begin);
    if (end <= begin || end > text.size()) {
      ADD_FAILURE() << "piece of " << begin << ".." << end << " in " << text.size() << " bytes";
      break;
    }
    pieces.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return pieces;
}

TEST(UnicodeTable, counts_of_each_class_are_those_of_unicode_16) {
  const UnicodeTable table;
  size_t counts[7] = {};
  for (char32_t c = 0; c < 0x110000; ++c) ++counts[static_cast<size_t>(table.class_of(c))];
  const auto count = [&counts](UnicodeClass kind) { return counts[static_cast<size_t>(kind)]; };
  EXPECT_EQ(
      count(UnicodeClass::kUpper) + count(UnicodeClass::kLower) + count(UnicodeClass::kCaseless),
      141028u);
  EXPECT_EQ(counts[static_cast<size_t>(UnicodeClass::kNumber)], 1911u);
  EXPECT_EQ(counts[static_cast<size_t>(UnicodeClass::kSpace)], 25u);
}

TEST(UnicodeTable, values_beyond_unicode_are_other) {
  const UnicodeTable table;
  EXPECT_EQ(table.class_of(0x110000), UnicodeClass::kOther);
  EXPECT_EQ(table.class_of(kInvalidByte), UnicodeClass::kOther);
}

TEST(UnicodeTable, bytes_that_begin_no_sequence_are_single_symbols) {
  const UnicodeTable table;
  for (const std::string bytes : {"\x80", "\xC3", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80",
                                  "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE4\xB8"}) {
    const Symbol symbol = table.symbol_at(bytes, 0);
    EXPECT_EQ(symbol.code_point, kInvalidByte);
    EXPECT_EQ(symbol.size, 1);
    EXPECT_EQ(symbol.kind, UnicodeClass::kOther);
  }
  EXPECT_EQ(table.symbol_at("\xF4\x8F\xBF\xBF", 0).code_point, 0x10FFFFu);
  EXPECT_EQ(table.symbol_at("\xEF\xBF\xBF", 0).size, 3);
}

TEST(PreTokenizer, words_take_one_leading_symbol) {
  EXPECT_EQ(pieces_of("Hello world_x (foo)"), (Pieces{"Hello", " world", "_x", " (", "foo", ")"}));
  EXPECT_EQ(pieces_of("\tx \xC2\xA0y"), (Pieces{"\tx", " ", "\xC2\xA0y"}));
}

TEST(PreTokenizer, contractions_ignore_case_and_know_the_long_s) {
  EXPECT_EQ(pieces_of("it's IT'LLx 'tis"), (Pieces{"it", "'s", " IT", "'LL", "x", " '", "tis"}));
  EXPECT_EQ(pieces_of("'\xC5\xBF"
                      "a"),
            (Pieces{"'\xC5\xBF", "a"}));
  EXPECT_EQ(pieces_of("'rx 'l"), (Pieces{"'rx", " '", "l"}));
}

TEST(PreTokenizer, digits_go_in_threes) {
  EXPECT_EQ(pieces_of("1234567 12"), (Pieces{"123", "456", "7", " ", "12"}));
}

TEST(PreTokenizer, symbols_take_the_line_ends_behind_them) {
  EXPECT_EQ(pieces_of(" ;\r\n\nx"), (Pieces{" ;\r\n\n", "x"}));
}

TEST(PreTokenizer, white_space_ends_at_the_last_line_end_and_leaves_one_to_the_word) {
  EXPECT_EQ(pieces_of("a  \n  \n   b"), (Pieces{"a", "  \n  \n", "  ", " b"}));
  EXPECT_EQ(pieces_of("a   1"), (Pieces{"a", "  ", " ", "1"}));
}

TEST(PreTokenizer, the_two_patterns_differ_in_white_space_at_the_end_only) {
  EXPECT_EQ(pieces_of("a\n  "), (Pieces{"a", "\n", "  "}));
  EXPECT_EQ(pieces_of("a\n  ", SplitPattern::kCl100kTiktoken), (Pieces{"a", "\n  "}));
  EXPECT_EQ(pieces_of("a\n  b", SplitPattern::kCl100kTiktoken), pieces_of("a\n  b"));
}

TEST(PreTokenizer, o200k_cuts_words_by_case_and_keeps_contractions) {
  const auto pieces = [](const std::string& text) { return pieces_of(text, SplitPattern::kO200k); };
  EXPECT_EQ(pieces("HTMLParser it's IT'S"), (Pieces{"HTMLParser", " it's", " IT'S"}));
  EXPECT_EQ(pieces("camelCase aB"), (Pieces{"camel", "Case", " a", "B"}));
  EXPECT_EQ(pieces("a//\n/b"), (Pieces{"a", "//\n/", "b"}));
  // A letter without case ends a run of capitals that no small letter follows; a mark that leads
  // capitals alone is a piece.
  EXPECT_EQ(pieces("A\xE4\xB8\xAD"
                   "BC"),
            (Pieces{"A\xE4\xB8\xAD", "BC"}));
  EXPECT_EQ(pieces("\xCC\x81"
                   "AB"),
            (Pieces{"\xCC\x81", "AB"}));
  EXPECT_EQ(pieces("\xCC\x81"
                   "Ab"),
            (Pieces{"\xCC\x81"
                    "Ab"}));
}

TEST(PreTokenizer, gpt2_takes_a_space_in_front_and_any_number_of_digits) {
  const auto pieces = [](const std::string& text) { return pieces_of(text, SplitPattern::kGpt2); };
  EXPECT_EQ(pieces("it's IT'S 12345 (x)\n\n y"),
            (Pieces{"it", "'s", " IT", "'", "S", " 12345", " (", "x", ")", "\n\n", " y"}));
  EXPECT_EQ(pieces("_x\tx"), (Pieces{"_", "x", "\t", "x"}));
}

TEST(PreTokenizer, qwen2_cuts_at_every_digit) {
  EXPECT_EQ(pieces_of("a12 3", SplitPattern::kQwen2), (Pieces{"a", "1", "2", " ", "3"}));
}

TEST(PreTokenizer, pieces_add_up_to_any_text) {
  for (const SplitPattern pattern :
       {SplitPattern::kCl100k, SplitPattern::kCl100kTiktoken, SplitPattern::kO200k,
        SplitPattern::kGpt2, SplitPattern::kQwen2}) {
    for (const std::string& text : testing::hostile_texts()) {
      std::string sum;
      for (const std::string& piece : pieces_of(text, pattern)) sum += piece;
      EXPECT_EQ(sum, text);
    }
  }
}

// Texts of up to 150 atoms drawn by a key: any ASCII, or what the rules are about, and long runs.
std::string drawn_text(uint64_t key) {
  static constexpr std::string_view kAtoms[] = {
      " ",   " ",    " ",    "  ", "\t", "\n",  "\n",      "\r\n", "\r",        "\v",      "'",
      "'",   "''",   "'s",   "'S", "'d", "'re", "'Ve",     "'ll",  "'lL",       "l",       "e",
      "the", " of",  "B",    "Ab", "1",  "12",  "1234567", "00",   ".",         "...",     "_",
      "/*",  "\x1C", "\x7F", "=",  "s",  "t",   "\xFF",    "\n ",  "'\xC5\xBF", "\xC3\xA9"};
  const auto draw = [&key](uint64_t below) {
    key = key * 6364136223846793005u + 1442695040888963407u;
    return (key >> 33) % below;
  };
  const bool any_ascii = draw(3) == 0;
  std::string text;
  for (uint64_t left = draw(150); left > 0; --left) {
    if (draw(30) == 0) {
      text.append(draw(100), " \n\ta7."[draw(6)]);
    } else if (any_ascii) {
      text += static_cast<char>(draw(128));
    } else {
      text += kAtoms[draw(std::size(kAtoms))];
    }
  }
  return text;
}

TEST(PreTokenizer, many_pieces_at_once_are_those_of_the_rules) {
  for (const SplitPattern pattern :
       {SplitPattern::kCl100k, SplitPattern::kCl100kTiktoken, SplitPattern::kO200k,
        SplitPattern::kGpt2, SplitPattern::kQwen2}) {
    for (uint64_t key = 0; key < 2000; ++key) {
      const std::string text = drawn_text(key);
      Pieces pieces;
      PreTokenizer(pattern).each_piece(text,
                                       [&](std::string_view piece) { pieces.emplace_back(piece); });
      ASSERT_EQ(pieces, pieces_of(text, pattern)) << split_pattern_name(pattern) << ": " << text;
    }
  }
}

TEST(PreTokenizer, a_run_of_invalid_bytes_is_one_piece) {
  EXPECT_EQ(pieces_of("a\xFF\xFE\x80z"), (Pieces{"a", "\xFF\xFE\x80", "z"}));
}

}  // namespace
}  // namespace phalanx
