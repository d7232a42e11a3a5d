#pragma once
// Large files whose bytes are all in memory: written and read back by several streams at a time,
// past the page cache where the file system can, each block hashed by the stream that moves it.
//
// Local. Threads: each call starts its own streams and ends them before it returns; they inherit
// the caller's priority. Where the host has no thread to give, fewer streams do the same work, more
// slowly. Memory: kBulkChunkBytes for each stream. Units are bytes.
// Errors: as data/file.h. std::system_error "read back: ..." for a file that does not hold what was
// written.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "data/file.h"

namespace phalanx {

inline constexpr int64_t kBulkChunkBytes = int64_t{4} << 20;

/// The bytes of a file, one piece after another.
using BytePieces = std::vector<std::span<const std::byte>>;

struct WrittenBlocks {
  int64_t bytes = 0;
  std::vector<uint64_t> block_hashes;  // of each kHashBlockBytes
};

/// Makes the file `path` of the pieces: pwrite, fsync, close checked, as DurableWriter does. When
/// the fsync fails the file is deleted and written once more, in full. What could not be finished
/// is removed.
WrittenBlocks write_in_bulk(const std::filesystem::path& path, const BytePieces& pieces,
                            int num_streams);

/// Reads the whole file, from the disk rather than from memory, and compares it with `written`.
void read_back(const std::filesystem::path& path, const WrittenBlocks& written, int num_streams);

}  // namespace phalanx
