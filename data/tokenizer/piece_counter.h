// Counts the distinct pieces of documents. Local. A PieceCounter belongs to one thread;
// count_pieces() has as many as it is told. Fewer than 2^32 distinct pieces. Memory: the distinct
// pieces, of each thread those that it met.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "data/tokenizer/pretokenizer.h"

namespace phalanx {

// Puts the next document into its argument and returns true, or returns false at the end.
using NextDocument = std::function<bool(std::string&)>;

class PieceCounter {
 public:
  explicit PieceCounter(SplitPattern pattern) : pretokenizer_(pattern) {}

  void add(std::string_view document);
  void count(std::string_view piece, int64_t times);

  // In the order of their first appearance.
  const std::deque<std::pair<std::string, int64_t>>& pieces() const { return pieces_; }

 private:
  struct Hash {
    size_t operator()(std::string_view text) const;
  };

  PreTokenizer pretokenizer_;
  std::deque<std::pair<std::string, int64_t>> pieces_;  // a deque, so that the keys stay in place
  std::unordered_map<std::string_view, size_t, Hash> places_;
};

// The pieces of all documents. next_document is called by one thread at a time; the counts do not
// depend on num_threads, the order of the pieces does. Throws what next_document throws.
PieceCounter count_pieces(const NextDocument& next_document, SplitPattern pattern, int num_threads);

}  // namespace phalanx
