// From the bytes of a token to its id. Local; immutable after construction, free to share.
// Refers to the token strings it was built from: they must stay where they are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/huge_pages.h"
#include "data/tokenizer/piece_cache.h"

namespace phalanx {

class TokenIndex {
 public:
  TokenIndex() = default;
  // Indexes the given ids of `tokens`; of two ids with equal bytes the first stays.
  TokenIndex(const std::vector<std::string>& tokens, const std::vector<int32_t>& ids);

  // -1 where no indexed token has these bytes. `key`: PieceKey::of() them.
  int32_t find(std::string_view bytes) const {
    return find(bytes, PieceKey::of(bytes, 0, bytes.size()));
  }
  int32_t find(std::string_view bytes, const PieceKey& key) const;

  // Fetches what find() will look at first for a piece that has this key.
  void prefetch(const PieceKey& key) const {
    if (!short_slots_.empty()) __builtin_prefetch(&short_slots_[short_place(key)]);
  }

 private:
  // Of tokens that fit a key, which then need no look at the token itself.
  struct ShortSlot {
    PieceKey key{0, 0};
    int32_t id = -1;
  };
  struct Slot {
    uint32_t hash = 0;
    int32_t id = -1;
  };

  size_t short_place(const PieceKey& key) const {
    return static_cast<size_t>(key.mixed() >> 20) & (short_slots_.size() - 1);
  }
  void add_short(const std::string& token, int32_t id);
  void add_long(const std::string& token, int32_t id);
  int32_t find_long(std::string_view bytes) const;

  const std::vector<std::string>* tokens_ = nullptr;
  HugePageVector<ShortSlot> short_slots_;  // a power of two of them, at most half of them taken
  HugePageVector<Slot> slots_;             // as many alike, of longer tokens
  size_t longest_ = 0;
};

}  // namespace phalanx
