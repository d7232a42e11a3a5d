#pragma once
// Compares what is read of a shard's .bin with the hashes that were written when it was packed:
// each block of 16 MiB once, before the first of its tokens is used.
//
// Local. Threads: verify() may be called from several at once. Memory: 8 bytes a block; a block is
// read in pieces of 1 MiB. It costs one pass over a block, so random rows of a large shard read up
// to 16 MiB each until all is checked.
// Errors: std::invalid_argument with file, bytes of the block, expected and found hash.
#include <cstdint>
#include <filesystem>
#include <limits>
#include <mutex>
#include <vector>

#include "data/file.h"

namespace phalanx {

/// The lines of PREFIX.xxh3, one for each 16 MiB of a .bin of `bin_bytes`. Throws
/// std::invalid_argument for any other size or a line that is not 16 hexadecimal digits.
[[nodiscard]] std::vector<uint64_t> read_block_hashes(const std::filesystem::path& prefix,
                                                      int64_t bin_bytes);

class BlockVerifier {
 public:
  BlockVerifier(const std::filesystem::path& prefix, int64_t bin_bytes);

  /// Checks the blocks of `bin` that hold its bytes [begin, end) and were not checked before.
  void verify(const File& bin, int64_t begin, int64_t end);

 private:
  void verify_block(const File& bin, int64_t block) const;

  int64_t bin_bytes_;
  std::vector<uint64_t> hashes_;
  std::mutex mutex_;
  std::vector<bool> verified_;  // guarded by mutex_
};

/// XXH3-64 of a whole file, or its first bytes, read in pieces.
[[nodiscard]] uint64_t hash_file(const std::filesystem::path& path,
                                 int64_t max_bytes = std::numeric_limits<int64_t>::max());

}  // namespace phalanx
