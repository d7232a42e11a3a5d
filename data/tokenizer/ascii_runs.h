// Runs of ASCII characters of one kind, sixteen at a time where the processor has vectors (SSE2, on
// every x86-64). Local; pure. All read inside `text` only.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace phalanx {

// A range of characters; kFold is or-ed to each before: 0x20 takes both cases of letters.
template <unsigned char kFirst, unsigned char kLast, unsigned char kFold = 0>
struct AsciiRange {
  static bool has(char c) {
    return static_cast<unsigned char>((static_cast<unsigned char>(c) | kFold) - kFirst) <=
           kLast - kFirst;
  }
#if defined(__SSE2__)
  // One bit for each byte that is not in the range.
  static unsigned outside(__m128i bytes) {
    const __m128i folded = _mm_or_si128(bytes, _mm_set1_epi8(kFold));
    const __m128i offset = _mm_sub_epi8(folded, _mm_set1_epi8(kFirst));
    const __m128i inside =
        _mm_cmpeq_epi8(_mm_min_epu8(offset, _mm_set1_epi8(kLast - kFirst)), offset);
    return static_cast<unsigned>(_mm_movemask_epi8(inside)) ^ 0xFFFFu;
  }
#endif
};

using AsciiLetters = AsciiRange<'a', 'z', 0x20>;
using AsciiUpper = AsciiRange<'A', 'Z'>;
using AsciiLower = AsciiRange<'a', 'z'>;
using AsciiDigits = AsciiRange<'0', '9'>;
using AsciiSpaceControls = AsciiRange<'\t', '\r'>;  // white space but ' '
using AsciiSpaces = AsciiRange<' ', ' '>;

// The end of the run of `Range` that starts at text[begin]: `begin` where there is none.
template <typename Range>
size_t ascii_run_end(std::string_view text, size_t begin) {
#if defined(__SSE2__)
  while (begin + 16 <= text.size()) {
    const unsigned outside =
        Range::outside(_mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + begin)));
    if (outside != 0) return begin + static_cast<size_t>(std::countr_zero(outside));
    begin += 16;
  }
#endif
  while (begin < text.size() && Range::has(text[begin])) ++begin;
  return begin;
}

}  // namespace phalanx
