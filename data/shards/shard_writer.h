#pragma once
// Writes one shard, document by document, as PREFIX.bin and PREFIX.idx (layout in FORMAT.md).
//
// Local. One owner. Token ids go straight to PREFIX.bin.tmp; memory holds four bytes a document
// (its length). finish() fsyncs both files, renames .bin, then .idx, and fsyncs the folder: an .idx
// under its final name therefore always has its whole .bin. Unfinished files are removed.
// Errors: std::system_error on a failed write; an id that the token type cannot hold, or a document
// without tokens, is the caller's bug (std::logic_error).
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "data/file.h"
#include "data/shards/token_type.h"

namespace phalanx {

/// The documents of one shard as written, one sequence each.
struct WrittenShard {
  int64_t num_tokens = 0;
  int64_t num_documents = 0;
  WrittenFile bin, idx;
};

class ShardWriter {
 public:
  ShardWriter(const std::filesystem::path& prefix, TokenType type);

  void add_document(std::span<const int32_t> tokens);
  int64_t num_tokens() const { return num_tokens_; }
  int64_t num_documents() const { return static_cast<int64_t>(lengths_.size()); }
  WrittenShard finish();

 private:
  WrittenFile write_index(const std::filesystem::path& path) const;

  std::filesystem::path prefix_;
  TokenType type_;
  DurableWriter bin_;
  std::vector<int32_t> lengths_;
  std::vector<uint16_t> narrow_;  // scratch of add_document
  int64_t num_tokens_ = 0;
};

}  // namespace phalanx
