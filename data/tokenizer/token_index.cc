#include "data/tokenizer/token_index.h"

#include <xxhash.h>

#include <algorithm>

namespace phalanx {

TokenIndex::TokenIndex(const std::vector<std::string>& tokens, const std::vector<int32_t>& ids)
    : tokens_(&tokens) {
  size_t num_slots = 16;
  while (num_slots < ids.size() * 2) num_slots *= 2;
  slots_.resize(num_slots);
  for (const int32_t id : ids) {
    const std::string& token = tokens[static_cast<size_t>(id)];
    if (find(token) != -1) continue;
    const auto hash = static_cast<uint32_t>(XXH3_64bits(token.data(), token.size()));
    size_t i = hash & (num_slots - 1);
    while (slots_[i].id != -1) i = (i + 1) & (num_slots - 1);
    slots_[i] = {hash, id};
    longest_ = std::max(longest_, token.size());
  }
}

int32_t TokenIndex::find(std::string_view bytes) const {
  if (slots_.empty() || bytes.size() > longest_) return -1;
  const auto hash = static_cast<uint32_t>(XXH3_64bits(bytes.data(), bytes.size()));
  const size_t mask = slots_.size() - 1;
  for (size_t i = hash & mask; slots_[i].id != -1; i = (i + 1) & mask) {
    if (slots_[i].hash == hash && (*tokens_)[static_cast<size_t>(slots_[i].id)] == bytes) {
      return slots_[i].id;
    }
  }
  return -1;
}

}  // namespace phalanx
