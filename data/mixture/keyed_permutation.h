#pragma once
// The keyed bijection behind the order of the data, and the hash that makes its keys.
// Local, pure integer arithmetic; SEMANTICS.md section 7 is the definition. kOrderVersion rises
// with any change that moves a row.
#include <cstdint>
#include <string_view>

namespace phalanx {

inline constexpr uint64_t kOrderVersion = 1;

inline uint64_t mix_bits(uint64_t value) {
  value += 0x9E3779B97F4A7C15ULL;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
  return value ^ (value >> 31);
}
inline uint64_t absorb(uint64_t hash, uint64_t value) { return mix_bits(hash ^ value); }
uint64_t absorb_text(uint64_t hash, std::string_view text);

/// Key of one epoch of a source: depends on its name, never on its place among the others.
uint64_t window_key(uint64_t seed, std::string_view source, uint64_t epoch);
/// Key of the order of a source's shards in one epoch, where `shuffle_window` is set.
uint64_t shard_key(uint64_t seed, std::string_view source, uint64_t epoch);
/// Key of the order of the rows inside the step that begins at row `first_row`.
uint64_t step_key(uint64_t seed, int64_t first_row);

/// A bijection of [0, size): unbalanced Feistel network of 8 rounds with cycle walking. On average
/// fewer than two passes, no memory.
class KeyedPermutation {
 public:
  /// Throws std::invalid_argument if size < 1.
  KeyedPermutation(int64_t size, uint64_t key);
  int64_t operator()(int64_t index) const;

 private:
  static constexpr int kRounds = 8;
  uint64_t pass(uint64_t value) const;

  uint64_t size_ = 1;
  int high_bits_ = 1;
  int low_bits_ = 1;
  uint64_t round_keys_[kRounds] = {};
};

}  // namespace phalanx
