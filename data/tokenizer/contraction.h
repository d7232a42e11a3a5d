// The contractions 's 't 'm 'd 're 've 'll, which are pieces of their own. Local; pure.
#pragma once

#include <cstddef>
#include <string_view>

#include "data/tokenizer/split_pattern.h"

namespace phalanx {

// The bytes of the contraction that `text` begins with, 0 where it begins with none. In any case,
// but for GPT-2. The long s (U+017F), which equals s where case is ignored, is the caller's to
// know.
template <SplitRules::Words kWords>
size_t contraction_size(std::string_view text) {
  const auto lower = [](char c) {
    constexpr bool kAnyCase = kWords != SplitRules::Words::kSpaceLead;
    return static_cast<char>(kAnyCase && c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  };
  if (text.size() < 2 || text[0] != '\'') return 0;
  const char first = lower(text[1]);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  if (text.size() < 3) return 0;
  const char second = lower(text[2]);
  const bool found =
      ((first == 'r' || first == 'v') && second == 'e') || (first == 'l' && second == 'l');
  return found ? 3 : 0;
}

}  // namespace phalanx
