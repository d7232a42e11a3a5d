// The operations of PieceStarts; included by piece_starts.h only.
#pragma once

namespace phalanx {

inline AsciiClasses AsciiClasses::of(const char* text) {
  AsciiClasses classes{};
#if defined(__SSE2__)
  uint64_t not_letters = 0, not_digits = 0, not_controls = 0, others = 0;
  for (int part = 0; part < 4; ++part) {
    const int shift = 16 * part;
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text + shift));
    const auto equal = [bytes, shift](char c) {
      const __m128i same = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c));
      return uint64_t{static_cast<unsigned>(_mm_movemask_epi8(same))} << shift;
    };
    not_letters |= uint64_t{AsciiLetters::outside(bytes)} << shift;
    not_digits |= uint64_t{AsciiDigits::outside(bytes)} << shift;
    not_controls |= uint64_t{AsciiSpaceControls::outside(bytes)} << shift;
    others |= uint64_t{static_cast<unsigned>(_mm_movemask_epi8(bytes))} << shift;
    classes.spaces |= equal(' ');
    classes.line_ends |= equal('\r') | equal('\n');
    classes.apostrophes |= equal('\'');
  }
  classes.valid = (others & (0 - others)) - 1;  // all where there are no others
  classes.letters = ~not_letters & classes.valid;
  classes.digits = ~not_digits & classes.valid;
  classes.spaces &= classes.valid;
  classes.line_ends &= classes.valid;
  classes.blanks = (classes.spaces | (~not_controls & ~classes.line_ends)) & classes.valid;
  classes.symbols = classes.valid & not_letters & not_digits & ~classes.blanks & ~classes.line_ends;
#else
  (void)text;
#endif
  return classes;
}

template <SplitPattern kPattern>
uint64_t PieceStarts<kPattern>::starts(const char* text, const AsciiClasses& classes) {
  const uint64_t symbols = run_starts(classes.symbols) & ~behind(classes.spaces);
  const uint64_t before_letter = symbols & ~before(classes.symbols) & before(classes.letters);
  const uint64_t leads =
      kAnyLead ? behind(classes.blanks) | behind(before_letter) : behind(classes.spaces);
  uint64_t starts = symbols | (run_starts(classes.letters) & ~leads) | digit_starts(classes) |
                    space_starts(classes);
  split_contractions(text, before_letter & classes.apostrophes, starts);
  return starts;
}

// White space at the end may go on, and its parts depend on how. Its first character is a start, or
// belongs to the symbols in front, whatever follows.
template <SplitPattern kPattern>
uint64_t PieceStarts<kPattern>::certain(const AsciiClasses& classes) {
  const uint64_t others = classes.letters | classes.digits | classes.symbols;
  if (others == 0) return 0;
  const uint64_t last = std::bit_floor(others);
  return (last | (last - 1) | behind(last)) & classes.valid;
}

template <SplitPattern kPattern>
uint64_t PieceStarts<kPattern>::digit_starts(const AsciiClasses& classes) {
  const uint64_t digits = classes.digits;
  if constexpr (kRules.max_digits == 0) return run_starts(digits) & ~behind(classes.spaces);
  if constexpr (kRules.max_digits == 1) return digits;
  static_assert(kRules.max_digits <= 1 || kRules.max_digits == 3);
  uint64_t starts = run_starts(digits);
  const uint64_t behind_three = digits & digits << 1 & digits << 2 & digits << 3;
  for (uint64_t at = behind_three == 0 ? 0 : starts; at != 0;) {
    at = at << 3 & behind_three;
    starts |= at;
  }
  return starts;
}

// A run of white space is cut behind its last line end, where the pattern knows line ends, and in
// front of its last character. Line ends directly behind symbols are theirs.
template <SplitPattern kPattern>
uint64_t PieceStarts<kPattern>::space_starts(const AsciiClasses& classes) {
  const uint64_t spaces = classes.blanks | classes.line_ends;
  if constexpr (!kRules.line_ends) return run_starts(spaces) | (spaces & ~before(spaces));
  const uint64_t tails = classes.line_ends & behind(classes.symbols);
  const uint64_t tail_ends = (classes.line_ends + tails) & ~classes.line_ends & classes.blanks;
  return (run_starts(spaces) & ~tails) | tail_ends | (classes.blanks & ~before(spaces)) |
         last_line_starts(classes);
}

// Blanks behind a line end, unless another line end follows them.
template <SplitPattern kPattern>
uint64_t PieceStarts<kPattern>::last_line_starts(const AsciiClasses& classes) {
  uint64_t starts = classes.blanks & behind(classes.line_ends);
  uint64_t ends = (classes.blanks + starts) & classes.line_ends;
  for (; ends != 0; ends &= ends - 1) {
    const uint64_t in_front = (ends & (0 - ends)) - 1;
    starts &= ~(std::bit_floor(~classes.blanks & in_front) << 1);
  }
  return starts;
}

// 's 't 'm 'd 're 've 'll are pieces, and what follows them starts another.
template <SplitPattern kPattern>
void PieceStarts<kPattern>::split_contractions(const char* text, uint64_t places,
                                               uint64_t& starts) {
  for (; places != 0; places &= places - 1) {
    const auto place = static_cast<size_t>(std::countr_zero(places));
    const bool seen_whole = place + 2 < kWidth;
    const size_t size =
        seen_whole ? contraction_size<kRules.words>({text + place, kWidth - place}) : 0;
    if (size == 0 && seen_whole) continue;
    starts &= ~(uint64_t{2} << place);
    if (size > 0 && place + size < kWidth) starts |= uint64_t{1} << (place + size);
  }
}

}  // namespace phalanx
