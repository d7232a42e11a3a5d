#include "data/mixture/token_ids.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace phalanx {

void check_ids(const DatasetReader& reader, const TokenPlace& begin,
               std::span<const int32_t> tokens, int64_t vocab_size) {
  // As unsigned, a negative id is a large one. The maximum first: it costs one pass without
  // branches.
  uint32_t largest = 0;
  for (const int32_t id : tokens) largest = std::max(largest, static_cast<uint32_t>(id));
  if (largest < static_cast<uint64_t>(vocab_size)) return;
  const auto bad = std::find(tokens.begin(), tokens.end(), static_cast<int32_t>(largest));
  const TokenPlace place =
      reader.find(reader.shard_begins()[begin.shard] + begin.position + (bad - tokens.begin()));
  throw std::invalid_argument(
      fmt::format("{}: token {}: expected an id below the vocabulary's {}, found {}",
                  reader.bin_path(place.shard), place.position, vocab_size, *bad));
}

}  // namespace phalanx
