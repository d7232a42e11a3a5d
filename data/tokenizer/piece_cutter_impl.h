// The rules of PieceCutter; included by piece_cutter.h only.
#pragma once

namespace phalanx {

template <SplitPattern kPattern>
size_t PieceCutter<kPattern>::ends_from(size_t begin, std::span<size_t> ends) const {
  size_t num_ends = 0;
  while (begin < text_.size() && num_ends + kRoom <= ends.size()) {
    uint64_t starts = starts_behind(begin);
    if (starts == 0) {
      begin = ends[num_ends++] = end_of(begin);
      continue;
    }
    size_t end = begin;
    for (; starts != 0; starts &= starts - 1) {
      end = begin + static_cast<size_t>(std::countr_zero(starts));
      ends[num_ends++] = end;
    }
    begin = end;
  }
  return num_ends;
}

// Bit i: a piece starts at text[begin + i]; zero where the rules must say it.
template <SplitPattern kPattern>
uint64_t PieceCutter<kPattern>::starts_behind(size_t begin) const {
  using Starts = PieceStarts<kPattern>;
  if constexpr (!Starts::kKnown) return 0;
  // Text of other alphabets is better read by the rules at once.
  const bool worthwhile = begin + Starts::kWidth <= text_.size() && is_ascii(text_[begin]) &&
                          is_ascii(text_[begin + 1]);
  return worthwhile ? Starts::of(text_.data() + begin) : 0;
}

template <SplitPattern kPattern>
size_t PieceCutter<kPattern>::end_by_rules(size_t begin) const {
  const Symbol first = at(begin);
  if constexpr (kRules.words != Words::kByCase) {
    if (first.code_point == '\'') {
      const size_t end = contraction_end(begin);
      if (end != begin) return end;
    }
  }
  if (first.kind == UnicodeClass::kNumber) return digits_end(begin);
  const size_t word = word_end(begin, first);
  if (word != kNone) return word;
  const size_t second_begin = begin + first.size;
  if (first.code_point == ' ' && second_begin < text_.size()) {
    const Symbol second = at(second_begin);
    if (is_symbol(second.kind)) return symbols_end(second_begin);
    if (kRules.max_digits == 0 && second.kind == UnicodeClass::kNumber) {
      return digits_end(second_begin);
    }
  }
  return is_symbol(first.kind) ? symbols_end(begin) : space_end(begin);
}

// The end of the word that starts at `begin` or behind it; kNone where none does.
template <SplitPattern kPattern>
size_t PieceCutter<kPattern>::word_end(size_t begin, const Symbol& first) const {
  const size_t second_begin = begin + first.size;
  if constexpr (kRules.words == Words::kByCase) return word_end_by_case(begin, first);
  if (is_letter(first.kind)) return run_end(second_begin, is_letter);
  const bool leads =
      kRules.words == Words::kSpaceLead ? first.code_point == ' ' : !is_line_end(first.code_point);
  if (!leads || second_begin == text_.size()) return kNone;
  const size_t end = run_end(second_begin, is_letter);
  return end == second_begin ? kNone : end;
}

// Letters without case and marks go with capitals in front and with small letters behind them: a
// word is capitals, then small letters; without small letters it ends behind the last that goes
// with both; else it is capitals alone. A mark may lead a word, and is one where it leads none or
// one of capitals alone.
template <SplitPattern kPattern>
size_t PieceCutter<kPattern>::word_end_by_case(size_t begin, const Symbol& first) const {
  if (is_line_end(first.code_point)) return kNone;
  const auto both = [](UnicodeClass kind) {
    return kind == UnicodeClass::kCaseless || kind == UnicodeClass::kMark;
  };
  const size_t word = is_letter(first.kind) ? begin : begin + first.size;
  size_t end = word;
  size_t both_end = kNone;
  while (end < text_.size()) {
    const Symbol symbol = at(end);
    if (symbol.kind == UnicodeClass::kLower) {
      return contraction_end(run_end(
          end, [&both](UnicodeClass kind) { return kind == UnicodeClass::kLower || both(kind); }));
    }
    if (symbol.kind != UnicodeClass::kUpper && !both(symbol.kind)) break;
    end += symbol.size;
    if (both(symbol.kind)) both_end = end;
  }
  if (both_end != kNone) return contraction_end(both_end);
  if (first.kind == UnicodeClass::kMark) return contraction_end(begin + first.size);
  return end == word ? kNone : contraction_end(end);
}

// The end of the contraction that starts at `begin`, or `begin` where there is none.
template <SplitPattern kPattern>
size_t PieceCutter<kPattern>::contraction_end(size_t begin) const {
  constexpr char32_t kLongS = 0x17F;  // the one letter outside ASCII that equals s, ignoring case
  if (begin + 1 >= text_.size() || text_[begin] != '\'') return begin;
  if (kRules.words != Words::kSpaceLead && !is_ascii(text_[begin + 1])) {
    const Symbol symbol = at(begin + 1);
    return symbol.code_point == kLongS ? begin + 1 + symbol.size : begin;
  }
  return begin + contraction_size<kRules.words>(text_.substr(begin));
}

template <SplitPattern kPattern>
size_t PieceCutter<kPattern>::digits_end(size_t begin) const {
  const auto number = [](UnicodeClass kind) { return kind == UnicodeClass::kNumber; };
  if constexpr (kRules.max_digits == 0) return run_end(begin, number);
  size_t end = begin;
  for (int i = 0; i < kRules.max_digits && end < text_.size(); ++i) {
    const Symbol symbol = at(end);
    if (!number(symbol.kind)) break;
    end += symbol.size;
  }
  return end;
}

template <SplitPattern kPattern>
size_t PieceCutter<kPattern>::symbols_end(size_t begin) const {
  size_t end = run_end(begin, is_symbol);
  const auto in_tail = [](char c) {
    return (kRules.tail != SplitRules::Tail::kNone && is_line_end(static_cast<unsigned char>(c))) ||
           (kRules.tail == SplitRules::Tail::kLineEndsAndSlashes && c == '/');
  };
  while (end < text_.size() && in_tail(text_[end])) ++end;
  return end;
}

// White space that leads no word: up to the last line end of the run; without one, all but the last
// symbol of the run, which belongs to the next word. Each rule shortens the run at most once, so a
// run is read at most three times.
template <SplitPattern kPattern>
size_t PieceCutter<kPattern>::space_end(size_t begin) const {
  size_t end = begin;
  size_t last_begin = begin;
  size_t line_end = begin;
  while (end < text_.size()) {
    const size_t spaces_end = ascii_run_end<AsciiSpaces>(text_, end);
    if (spaces_end != end) {
      last_begin = spaces_end - 1;
      end = spaces_end;
      continue;
    }
    const Symbol symbol = at(end);
    if (symbol.kind != UnicodeClass::kSpace) break;
    last_begin = end;
    end += symbol.size;
    if (is_line_end(symbol.code_point)) line_end = end;
  }
  const bool ends_text = end == text_.size();
  if (kRules.final_space && ends_text) return end;
  if (kRules.line_ends && line_end != begin) return line_end;
  if (ends_text || last_begin == begin) return end;
  return last_begin;
}

}  // namespace phalanx
