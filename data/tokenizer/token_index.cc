#include "data/tokenizer/token_index.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>

namespace phalanx {
namespace {

uint32_t hash_of(std::string_view bytes) {
  return static_cast<uint32_t>(XXH3_64bits(bytes.data(), bytes.size()));
}

size_t slots_for(size_t tokens) { return std::bit_ceil(std::max<size_t>(16, tokens * 2)); }

}  // namespace

TokenIndex::TokenIndex(const std::vector<std::string>& tokens, const std::vector<int32_t>& ids)
    : tokens_(&tokens) {
  const auto num_short = std::count_if(ids.begin(), ids.end(), [&tokens](int32_t id) {
    return tokens[static_cast<size_t>(id)].size() <= PieceKey::kMaxBytes;
  });
  short_slots_.resize(slots_for(static_cast<size_t>(num_short)));
  slots_.resize(slots_for(ids.size() - static_cast<size_t>(num_short)));
  for (const int32_t id : ids) {
    const std::string& token = tokens[static_cast<size_t>(id)];
    if (token.size() <= PieceKey::kMaxBytes) {
      add_short(token, id);
    } else {
      add_long(token, id);
    }
  }
}

void TokenIndex::add_short(const std::string& token, int32_t id) {
  const PieceKey key = PieceKey::of(token, 0, token.size());
  size_t i = short_place(key);
  while (short_slots_[i].id != -1) {
    if (short_slots_[i].key == key) return;
    i = (i + 1) & (short_slots_.size() - 1);
  }
  short_slots_[i] = {key, id};
}

void TokenIndex::add_long(const std::string& token, int32_t id) {
  longest_ = std::max(longest_, token.size());
  if (find_long(token) != -1) return;
  const uint32_t hash = hash_of(token);
  size_t i = hash & (slots_.size() - 1);
  while (slots_[i].id != -1) i = (i + 1) & (slots_.size() - 1);
  slots_[i] = {hash, id};
}

int32_t TokenIndex::find(std::string_view bytes, const PieceKey& key) const {
  if (tokens_ == nullptr || bytes.empty()) return -1;
  if (bytes.size() > PieceKey::kMaxBytes) return find_long(bytes);
  const size_t mask = short_slots_.size() - 1;
  for (size_t i = short_place(key); short_slots_[i].id != -1; i = (i + 1) & mask) {
    if (short_slots_[i].key == key) return short_slots_[i].id;
  }
  return -1;
}

int32_t TokenIndex::find_long(std::string_view bytes) const {
  if (bytes.size() > longest_) return -1;
  const uint32_t hash = hash_of(bytes);
  const size_t mask = slots_.size() - 1;
  for (size_t i = hash & mask; slots_[i].id != -1; i = (i + 1) & mask) {
    if (slots_[i].hash == hash && (*tokens_)[static_cast<size_t>(slots_[i].id)] == bytes) {
      return slots_[i].id;
    }
  }
  return -1;
}

}  // namespace phalanx
