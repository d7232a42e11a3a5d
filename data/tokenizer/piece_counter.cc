#include "data/tokenizer/piece_counter.h"

#include <xxhash.h>

namespace phalanx {

size_t PieceCounter::Hash::operator()(std::string_view text) const {
  return static_cast<size_t>(XXH3_64bits(text.data(), text.size()));
}

void PieceCounter::add(std::string_view document) {
  for (size_t begin = 0; begin < document.size();) {
    const size_t end = pretokenizer_.piece_end(document, begin);
    const std::string_view piece = document.substr(begin, end - begin);
    begin = end;
    const auto found = places_.find(piece);
    if (found != places_.end()) {
      ++pieces_[found->second].second;
      continue;
    }
    pieces_.emplace_back(std::string(piece), 1);
    places_.emplace(pieces_.back().first, pieces_.size() - 1);
  }
}

}  // namespace phalanx
