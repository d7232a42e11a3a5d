#include "data/block_hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <new>

namespace phalanx {

uint64_t xxh3(std::span<const std::byte> bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

uint64_t xxh3(std::string_view text, uint64_t seed) {
  return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

std::string hash_text(uint64_t hash) { return fmt::format("{:016x}", hash); }

void BlockHasher::Free::operator()(XXH3_state_s* state) const { XXH3_freeState(state); }

BlockHasher::BlockHasher() : whole_(XXH3_createState()), block_(XXH3_createState()) {
  if (whole_ == nullptr || block_ == nullptr) throw std::bad_alloc();
  XXH3_64bits_reset(whole_.get());
  XXH3_64bits_reset(block_.get());
}

void BlockHasher::update(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto room = static_cast<size_t>(kHashBlockBytes - block_fill_);
    const std::span<const std::byte> piece = bytes.first(std::min(room, bytes.size()));
    XXH3_64bits_update(whole_.get(), piece.data(), piece.size());
    XXH3_64bits_update(block_.get(), piece.data(), piece.size());
    block_fill_ += static_cast<int64_t>(piece.size());
    if (block_fill_ == kHashBlockBytes) {
      full_blocks_.push_back(XXH3_64bits_digest(block_.get()));
      XXH3_64bits_reset(block_.get());
      block_fill_ = 0;
    }
    bytes = bytes.subspan(piece.size());
  }
}

uint64_t BlockHasher::digest() const { return XXH3_64bits_digest(whole_.get()); }

std::vector<uint64_t> BlockHasher::block_hashes() const {
  std::vector<uint64_t> hashes = full_blocks_;
  if (block_fill_ > 0) hashes.push_back(XXH3_64bits_digest(block_.get()));
  return hashes;
}

}  // namespace phalanx
