// Finds special tokens in text: the leftmost, and of several that begin there the longest. Local;
// immutable, refers to the tokens it was made from. Time: the text's bytes, and for those that
// begin a special token its candidates.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/tokenizer.h"

namespace phalanx {

struct SpecialMatch {
  size_t begin;
  size_t end;
  const SpecialToken* token;  // null: no match
};

class SpecialFinder {
 public:
  SpecialFinder() = default;
  struct Sought {
    std::string text;           // what stands for the token: its content, or that normalized
    const SpecialToken* token;  // not null
  };

  explicit SpecialFinder(std::vector<Sought> tokens);

  bool empty() const { return tokens_.empty(); }
  SpecialMatch find(std::string_view text, size_t begin) const;

 private:
  size_t next_candidate(std::string_view text, size_t begin) const;

  std::vector<Sought> tokens_;        // by first byte, then longest first
  std::array<size_t, 257> starts_{};  // in tokens_, by first byte
  int only_first_ = -1;               // the one first byte of all tokens, where there is one
};

}  // namespace phalanx
