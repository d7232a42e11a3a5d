// Where the pieces of ASCII text start, for 64 characters at once: each class of characters becomes
// a word of 64 bits, and the rules of a pattern become a few operations on such words. Local; pure.
// Only where the processor has SSE2 (every x86-64) and for the patterns whose words do not depend
// on case; the rules of PieceCutter decide all that is left, and the same where both could. Source
// of the idea: simdjson's stages, and the scanners of marcelroed/gigatoken.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "data/tokenizer/ascii_runs.h"
#include "data/tokenizer/contraction.h"
#include "data/tokenizer/split_pattern.h"

namespace phalanx {

// Bit i stands for character i.
struct AsciiClasses {
  uint64_t letters;
  uint64_t digits;
  uint64_t spaces;     // ' ' alone
  uint64_t blanks;     // white space but line ends
  uint64_t line_ends;  // \r and \n
  uint64_t symbols;    // what is none of these
  uint64_t apostrophes;
  uint64_t valid;  // the characters in front of the first that is not ASCII

  // Of text[0, 64).
  static AsciiClasses of(const char* text);
};

template <SplitPattern kPattern>
class PieceStarts {
 public:
  static constexpr SplitRules kRules = split_rules(kPattern);
#if defined(__SSE2__)
  static constexpr bool kKnown = kRules.words != SplitRules::Words::kByCase;
#else
  static constexpr bool kKnown = false;
#endif
  static constexpr size_t kWidth = 64;  // characters that are read

  // The starts among text[1, 64), where a piece starts at text[0]: all up to the last one given.
  // What depends on characters further on is not given.
  static uint64_t of(const char* text) {
    const AsciiClasses classes = AsciiClasses::of(text);
    return starts(text, classes) & certain(classes) & ~uint64_t{1};
  }

 private:
  static constexpr bool kAnyLead = kRules.words == SplitRules::Words::kAnyLead;

  static uint64_t behind(uint64_t places) { return places << 1; }
  static uint64_t before(uint64_t places) { return places >> 1; }
  static uint64_t run_starts(uint64_t places) { return places & ~behind(places); }

  static uint64_t starts(const char* text, const AsciiClasses& classes);
  static uint64_t certain(const AsciiClasses& classes);
  static uint64_t digit_starts(const AsciiClasses& classes);
  static uint64_t space_starts(const AsciiClasses& classes);
  static uint64_t last_line_starts(const AsciiClasses& classes);
  static void split_contractions(const char* text, uint64_t places, uint64_t& starts);
};

}  // namespace phalanx

#include "data/tokenizer/piece_starts_impl.h"
