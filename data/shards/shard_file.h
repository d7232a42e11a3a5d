#pragma once
// Reads one shard: PREFIX.bin (token ids) and PREFIX.idx (Megatron's index, layout in FORMAT.md).
//
// Local. Owns two descriptors; files are read with pread, never mapped, because a fault under mmap
// is a signal and not an error. Const methods may run in several threads at once.
// Positions and counts are tokens. What is read is checked: opening costs a few small reads
// whatever the size of the shard (magic, version, dtype, counts against the size of the file, first
// and last entries against the size of .bin), each lookup checks the entries that it uses, and
// check_index() checks all of them.
// Errors: std::invalid_argument with file, place, expected and found; std::system_error when the
// machine fails.
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "data/file.h"
#include "data/shards/shard_layout.h"
#include "data/shards/token_type.h"

namespace phalanx {

class ShardFile {
 public:
  /// `prefix` is the path without .bin and .idx.
  explicit ShardFile(const std::filesystem::path& prefix);

  TokenType token_type() const { return type_; }
  int64_t num_tokens() const { return num_tokens_; }
  int64_t num_documents() const { return layout_.num_boundaries - 1; }
  int64_t num_sequences() const { return layout_.num_sequences; }
  int64_t idx_bytes() const { return layout_.total_bytes(); }
  const std::filesystem::path& bin_path() const { return bin_.path(); }
  const std::filesystem::path& idx_path() const { return idx_.path(); }

  /// Fills `tokens` from [begin, begin + tokens.size()). Ids are not compared with a vocabulary.
  void read_tokens(int64_t begin, std::span<int32_t> tokens) const;

  /// Where document `document` of [0, num_documents()) begins; num_documents() gives num_tokens().
  [[nodiscard]] int64_t document_start(int64_t document) const;

  /// Appends `shift` + each position in [begin, end) where a document begins. Documents without
  /// tokens begin where the next one does and are reported once.
  void append_document_starts(int64_t begin, int64_t end, int64_t shift,
                              std::vector<int64_t>& starts) const;

  /// Reads the whole index: lengths are not negative, each pointer is the end of the sequence
  /// before, boundaries do not fall. Memory use does not depend on the size.
  void check_index() const;

 private:
  void read_header();
  void check_ends();
  void check_sequences() const;
  void check_boundaries() const;
  int64_t token_of_pointer(int64_t sequence, int64_t pointer) const;
  int64_t token_of_boundary(int64_t document, int64_t boundary) const;
  [[noreturn]] void refuse(const File& file, std::string_view place, std::string_view expected,
                           std::string_view found) const;

  File bin_, idx_;
  TokenType type_ = TokenType::kUint16;
  IndexLayout layout_;
  int64_t num_tokens_ = 0;
};

}  // namespace phalanx
