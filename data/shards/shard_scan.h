#pragma once
// Reads the files of a shard from end to end: hashes, ids, and whatever a visitor looks for.
// Local; one owner; memory is one block of 16 MiB. Errors as File's.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "data/block_hash.h"
#include "data/shards/token_type.h"

namespace phalanx {

struct FileScan {
  int64_t bytes = 0;
  uint64_t xxh3 = 0;
  std::vector<uint64_t> block_hashes;
  int64_t max_id = -1;               // of a file of tokens
  std::optional<int64_t> bad_token;  // the first position with an id outside the vocabulary
  int64_t bad_id = 0;
};

class ShardScanner {
 public:
  /// The bytes of a file from `offset` on; blocks hold whole tokens.
  using BlockVisitor = std::function<void(int64_t offset, std::span<const std::byte> bytes)>;

  /// `progress` gets the bytes read by all scans so far.
  ShardScanner(TokenType type, int64_t vocab_size,
               const std::function<void(int64_t bytes)>& progress);

  [[nodiscard]] FileScan scan_file(const std::filesystem::path& path);
  /// Holds ids against the vocabulary too. `visit` may be empty.
  [[nodiscard]] FileScan scan_tokens(const std::filesystem::path& bin,
                                     const BlockVisitor& visit = {});

 private:
  FileScan scan(const std::filesystem::path& path, const BlockVisitor& visit);

  TokenType type_;
  int64_t vocab_size_;
  std::function<void(int64_t)> progress_;
  std::vector<std::byte> buffer_;
  int64_t bytes_read_ = 0;
};

}  // namespace phalanx
