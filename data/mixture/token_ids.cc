#include "data/mixture/token_ids.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace phalanx {

void check_ids(const DatasetReader& reader, const TokenPlace& begin,
               std::span<const int32_t> tokens, int64_t vocab_size) {
  // Bit 31 of id | (vocab_size - 1 - id) is set for a negative id and one past the vocabulary, so
  // that one pass without branches finds whether there is any.
  const auto last = static_cast<uint32_t>(vocab_size - 1);
  uint32_t bits = 0;
  for (const int32_t id : tokens)
    bits |= static_cast<uint32_t>(id) | (last - static_cast<uint32_t>(id));
  if (bits >> 31 == 0) return;
  const auto bad = std::find_if(tokens.begin(), tokens.end(),
                                [&](int32_t id) { return id < 0 || id >= vocab_size; });
  const TokenPlace place =
      reader.find(reader.shard_begins()[begin.shard] + begin.position + (bad - tokens.begin()));
  throw std::invalid_argument(
      fmt::format("{}: token {}: expected an id below the vocabulary's {}, found {}",
                  reader.bin_path(place.shard), place.position, vocab_size, *bad));
}

}  // namespace phalanx
