// The state machine behind PreTokenizer (pretokenizer.h), compiled for each pattern: where the
// pieces of one text end. Local; refers to table and text, which must outlive it.
// Every symbol is looked at a bounded number of times, whatever the text.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <span>
#include <string_view>

#include "data/tokenizer/ascii_runs.h"
#include "data/tokenizer/contraction.h"
#include "data/tokenizer/piece_starts.h"
#include "data/tokenizer/split_pattern.h"
#include "data/tokenizer/unicode_class.h"

namespace phalanx {

inline bool is_line_end(char32_t code_point) { return code_point == '\r' || code_point == '\n'; }

template <SplitPattern kPattern>
class PieceCutter {
 public:
  PieceCutter(const UnicodeTable& unicode, std::string_view text)
      : unicode_(unicode), text_(text) {}

  // The end of the piece that starts at text[begin]; begin < text.size().
  size_t end_of(size_t begin) const {
    // Words of ASCII letters, with or without a symbol that leads them, are most of all text.
    const Start start = kStarts[static_cast<unsigned char>(text_[begin])];
    if (start == Start::kOther) return end_by_rules(begin);
    const size_t word = begin + (start == Start::kLead ? 1 : 0);
    const size_t end = ascii_word_end(word);
    return end == word ? end_by_rules(begin) : end;
  }

  // Puts the ends of the pieces from text[begin] on into `ends`, in order, until there is room for
  // less than kRoom more or the text ends. Returns how many there are.
  static constexpr size_t kRoom = PieceStarts<kPattern>::kWidth;
  size_t ends_from(size_t begin, std::span<size_t> ends) const;

 private:
  using Words = SplitRules::Words;
  enum class Start : uint8_t { kOther, kLetter, kLead };
  static constexpr SplitRules kRules = split_rules(kPattern);
  static constexpr size_t kNone = static_cast<size_t>(-1);
  static constexpr std::array<Start, 256> kStarts = [] {
    std::array<Start, 256> starts{};
    for (size_t c = 0; c < 0x80; ++c) {
      const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      const bool digit = c >= '0' && c <= '9';
      const bool lead =
          kRules.words == Words::kSpaceLead
              ? c == ' '
              : !digit && c != '\r' && c != '\n' && (c != '\'' || kRules.words == Words::kByCase);
      starts[c] = letter ? Start::kLetter : lead ? Start::kLead : Start::kOther;
    }
    return starts;
  }();

  static bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }
  Symbol at(size_t place) const { return unicode_.symbol_at(text_, place); }
  bool ascii_at(size_t place) const { return place >= text_.size() || is_ascii(text_[place]); }

  // The end of the word whose ASCII letters start at `word`; `word` where the rules must decide.
  size_t ascii_word_end(size_t word) const {
    if constexpr (kRules.words == Words::kByCase) {
      const size_t upper_end = ascii_run_end<AsciiUpper>(text_, word);
      const size_t end = ascii_run_end<AsciiLower>(text_, upper_end);
      if (end == word || !ascii_at(end)) return word;
      return contraction_end(end);
    } else {
      const size_t end = ascii_run_end<AsciiLetters>(text_, word);
      return end == word || ascii_at(end) ? end : run_end(end, is_letter);
    }
  }

  uint64_t starts_behind(size_t begin) const;
  size_t end_by_rules(size_t begin) const;
  size_t word_end(size_t begin, const Symbol& first) const;
  size_t word_end_by_case(size_t begin, const Symbol& first) const;
  size_t contraction_end(size_t begin) const;
  size_t digits_end(size_t begin) const;
  size_t symbols_end(size_t begin) const;
  size_t space_end(size_t begin) const;

  template <typename Test>
  size_t run_end(size_t begin, Test test) const {
    size_t end = begin;
    while (end < text_.size()) {
      const Symbol symbol = at(end);
      if (!test(symbol.kind)) break;
      end += symbol.size;
    }
    return end;
  }

  const UnicodeTable& unicode_;
  std::string_view text_;
};

}  // namespace phalanx

#include "data/tokenizer/piece_cutter_impl.h"
