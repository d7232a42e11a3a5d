// Recent pieces of at most 15 bytes with their ids, at most three of them: what most of a text is
// made of. Local; one per thread. Fixed memory; a new piece takes the place of an old one.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "data/huge_pages.h"

namespace phalanx {

// The bytes of a piece with zeros behind them, and its size in the last byte.
struct PieceKey {
  uint64_t low = ~uint64_t{0};  // of a piece that is too long: equal to none
  uint64_t high = 0;

  static constexpr size_t kMaxBytes = 15;

  bool operator==(const PieceKey&) const = default;

  // All bits of it depend on the key; the upper ones on all of the key.
  uint64_t mixed() const {
    const uint64_t half = (low ^ high * 0x9FB21C651E98DF25u) * 0x9E3779B97F4A7C15u;
    return (half ^ half >> 29) * 0xD6E8FEB86659FD93u;
  }

  // Of text[begin, end).
  static PieceKey of(std::string_view text, size_t begin, size_t end) {
    const size_t size = end - begin;
    if (size > kMaxBytes) return {};
    std::array<uint64_t, 2> words{};
    if (std::endian::native == std::endian::little && begin + 16 <= text.size()) {
      std::memcpy(words.data(), text.data() + begin, 16);
      words[0] &= kMasks[size][0];
      words[1] &= kMasks[size][1];
    } else {
      std::memcpy(words.data(), text.data() + begin, size);
    }
    return {words[0], words[1] | uint64_t{size} << 56};
  }

 private:
  static constexpr std::array<std::array<uint64_t, 2>, 16> kMasks = [] {
    std::array<std::array<uint64_t, 2>, 16> masks{};
    for (size_t size = 0; size < 16; ++size) {
      for (size_t byte = 0; byte < size; ++byte) {
        masks[size][byte / 8] |= uint64_t{0xFF} << (byte % 8 * 8);
      }
    }
    return masks;
  }();
};

class PieceCache {
 public:
  static constexpr size_t kMaxIds = 4;
  struct Slot {
    PieceKey key{0, 0};
    std::array<int32_t, kMaxIds> ids;  // the first with their number above kNumShift

    // Writes kMaxIds of which the first ones count; returns how many.
    size_t copy_ids(int32_t* to) const {
      std::memcpy(to, ids.data(), sizeof ids);
      to[0] &= (1 << kNumShift) - 1;
      return static_cast<size_t>(ids[0]) >> kNumShift;
    }
  };

  // num_slots: a power of two, or 0: nothing is kept.
  explicit PieceCache(size_t num_slots)
      : keeps_(num_slots > 0),
        shift_(num_slots > 2 ? 65 - std::countr_zero(num_slots) : 63),
        pairs_(num_slots > 2 ? num_slots / 2 : 2) {}

  // Where a piece is kept if it is: two slots of one cache line.
  size_t place_of(const PieceKey& key) const { return static_cast<size_t>(key.mixed() >> shift_); }
  void prefetch(size_t place) const { __builtin_prefetch(&pairs_[place]); }

  // Null where the piece is not kept.
  const Slot* find(size_t place, const PieceKey& key) const {
    const Pair& pair = pairs_[place];
    if (pair[0].key == key) return &pair[0];
    return pair[1].key == key ? &pair[1] : nullptr;
  }

  // The older of two gives way.
  void keep(size_t place, const PieceKey& key, const int32_t* ids, size_t num_ids) {
    if (!keeps_ || num_ids > kMaxIds || key.high == 0) return;
    Pair& pair = pairs_[place];
    pair[1] = pair[0];
    pair[0].key = key;
    std::memcpy(pair[0].ids.data(), ids, num_ids * sizeof *ids);
    pair[0].ids[0] |= static_cast<int32_t>(num_ids << kNumShift);
  }

 private:
  static constexpr int kNumShift = 28;  // ids are below 2^21

  struct alignas(64) Pair : std::array<Slot, 2> {};

  bool keeps_;
  int shift_;
  HugePageVector<Pair> pairs_;
};

}  // namespace phalanx
