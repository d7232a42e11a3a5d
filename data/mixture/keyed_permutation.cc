#include "data/mixture/keyed_permutation.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <utility>

namespace phalanx {

uint64_t absorb_text(uint64_t hash, std::string_view text) {
  hash = absorb(hash, text.size());
  for (size_t at = 0; at < text.size(); at += 8) {
    uint64_t word = 0;
    for (size_t i = at; i < std::min(at + 8, text.size()); ++i) {
      word |= static_cast<uint64_t>(static_cast<unsigned char>(text[i])) << (8 * (i - at));
    }
    hash = absorb(hash, word);
  }
  return hash;
}

namespace {

uint64_t epoch_key(uint64_t kind, uint64_t seed, std::string_view source, uint64_t epoch) {
  const uint64_t hash = absorb(absorb(absorb(0, kind), kOrderVersion), seed);
  return absorb(absorb_text(hash, source), epoch);
}

}  // namespace

uint64_t window_key(uint64_t seed, std::string_view source, uint64_t epoch) {
  return epoch_key(1, seed, source, epoch);
}

uint64_t shard_key(uint64_t seed, std::string_view source, uint64_t epoch) {
  return epoch_key(5, seed, source, epoch);
}

uint64_t step_key(uint64_t seed, int64_t first_row) {
  uint64_t hash = absorb(absorb(absorb(0, 2), kOrderVersion), seed);
  return absorb(hash, static_cast<uint64_t>(first_row));
}

KeyedPermutation::KeyedPermutation(int64_t size, uint64_t key) {
  if (size < 1) {
    throw std::invalid_argument(fmt::format("permutation size: expected at least 1, got {}", size));
  }
  size_ = static_cast<uint64_t>(size);
  const int bits = std::max<int>(2, std::bit_width(size_ - 1));
  high_bits_ = bits / 2;
  low_bits_ = bits - high_bits_;
  for (int r = 0; r < kRounds; ++r) round_keys_[r] = absorb(key, static_cast<uint64_t>(r));
}

uint64_t KeyedPermutation::pass(uint64_t value) const {
  int high = high_bits_;
  int low = low_bits_;
  uint64_t left = value >> low;
  uint64_t right = value & ((uint64_t{1} << low) - 1);
  for (uint64_t round_key : round_keys_) {
    const uint64_t mask = (uint64_t{1} << high) - 1;
    const uint64_t next = left ^ (mix_bits(round_key ^ right) & mask);
    left = right;
    right = next;
    std::swap(high, low);
  }
  return left << low | right;
}

int64_t KeyedPermutation::operator()(int64_t index) const {
  if (size_ == 1) return 0;
  uint64_t value = pass(static_cast<uint64_t>(index));
  while (value >= size_) value = pass(value);
  return static_cast<int64_t>(value);
}

}  // namespace phalanx
