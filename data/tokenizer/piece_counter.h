// Counts the distinct pieces of documents, in the order of their first appearance. Local, one
// thread. Fewer than 2^32 distinct pieces. Memory: the distinct pieces.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "data/tokenizer/pretokenizer.h"

namespace phalanx {

class PieceCounter {
 public:
  explicit PieceCounter(SplitPattern pattern) : pretokenizer_(pattern) {}

  void add(std::string_view document);

  const std::deque<std::pair<std::string, int64_t>>& pieces() const { return pieces_; }

 private:
  struct Hash {
    size_t operator()(std::string_view text) const;
  };

  PreTokenizer pretokenizer_;
  std::deque<std::pair<std::string, int64_t>> pieces_;  // a deque, so that the keys stay in place
  std::unordered_map<std::string_view, size_t, Hash> places_;
};

}  // namespace phalanx
