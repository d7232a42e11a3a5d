#include "data/tokenizer/pretokenizer.h"

namespace phalanx {

size_t PreTokenizer::piece_end(std::string_view text, size_t begin) const {
  return with_cutter(text, [begin](const auto& cutter) { return cutter.end_of(begin); });
}

}  // namespace phalanx
