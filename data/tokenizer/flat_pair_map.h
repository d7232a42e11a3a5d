// A hash map from a pair of token ids to a small value; open addressing in one array, because the
// look-up of a pair is the inner loop of both encoding and training.
// Local; as thread-safe as a vector. Never iterated in slot order outside tests of emptiness: no
// result may depend on it. Ids are 0..2^31-1. No erasing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "data/huge_pages.h"

namespace phalanx {

template <typename Value>
class FlatPairMap {
 public:
  explicit FlatPairMap(size_t expected = 0) { slots_.resize(slots_for(expected)); }

  size_t size() const { return size_; }

  const Value* find(int32_t left, int32_t right) const {
    const uint64_t key = key_of(left, right);
    for (size_t i = start_of(key);; i = (i + 1) & (slots_.size() - 1)) {
      if (slots_[i].key == key) return &slots_[i].value;
      if (slots_[i].key == kFree) return nullptr;
    }
  }

  // The value of the pair, made with Value{} where it was absent. Valid until the next insertion.
  Value& operator()(int32_t left, int32_t right) {
    if ((size_ + 1) * 2 > slots_.size()) grow();
    Slot& slot = slot_of(key_of(left, right));
    if (slot.key == kFree) {
      slot.key = key_of(left, right);
      ++size_;
    }
    return slot.value;
  }

 private:
  static constexpr uint64_t kFree = ~uint64_t{0};

  struct Slot {
    uint64_t key = kFree;
    Value value{};
  };

  static size_t slots_for(size_t expected) {
    size_t slots = 16;
    while (slots < expected * 2) slots *= 2;
    return slots;
  }
  static uint64_t key_of(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  size_t start_of(uint64_t key) const {
    const uint64_t mixed = (key ^ (key >> 29)) * 0x9E3779B97F4A7C15u;
    return static_cast<size_t>(mixed >> 32) & (slots_.size() - 1);
  }
  Slot& slot_of(uint64_t key) {
    size_t i = start_of(key);
    while (slots_[i].key != key && slots_[i].key != kFree) i = (i + 1) & (slots_.size() - 1);
    return slots_[i];
  }
  void grow() {
    HugePageVector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (Slot& slot : old) {
      if (slot.key != kFree) slot_of(slot.key) = std::move(slot);
    }
  }

  HugePageVector<Slot> slots_;  // a power of two of them, at most half of them taken
  size_t size_ = 0;
};

}  // namespace phalanx
