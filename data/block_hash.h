#pragma once
// XXH3-64 (seed 0) of a whole stream and of each of its blocks of 16 MiB, so that a part of a large
// file can be checked without the rest and damage is reported with its place.
//
// Local. One owner. Equal to `xxhsum -H3` of the file; hashes are written as 16 lower-case
// hexadecimal digits, the most significant first.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct XXH3_state_s;

namespace phalanx {

inline constexpr int64_t kHashBlockBytes = int64_t{16} << 20;

[[nodiscard]] uint64_t xxh3(std::span<const std::byte> bytes, uint64_t seed = 0);
[[nodiscard]] uint64_t xxh3(std::string_view text, uint64_t seed = 0);
[[nodiscard]] std::string hash_text(uint64_t hash);

class BlockHasher {
 public:
  BlockHasher();

  void update(std::span<const std::byte> bytes);
  /// Of everything so far.
  [[nodiscard]] uint64_t digest() const;
  /// One for each block, the last of which may be short. No block for no bytes.
  [[nodiscard]] std::vector<uint64_t> block_hashes() const;

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const;
  };
  using State = std::unique_ptr<XXH3_state_s, Free>;

  State whole_, block_;
  int64_t block_fill_ = 0;
  std::vector<uint64_t> full_blocks_;
};

}  // namespace phalanx
