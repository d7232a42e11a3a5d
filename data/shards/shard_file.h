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
#include <atomic>
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
  ShardFile(const std::filesystem::path& bin, const std::filesystem::path& idx);
  /// With the beginning of a .bin of `bin_bytes`: all is known of the shard, and the tokens that
  /// are there can be read.
  ShardFile(const std::filesystem::path& head, const std::filesystem::path& idx, int64_t bin_bytes);

  TokenType token_type() const { return type_; }
  int64_t num_tokens() const { return num_tokens_; }
  int64_t num_documents() const { return layout_.num_boundaries - 1; }
  int64_t num_sequences() const { return layout_.num_sequences; }
  int64_t idx_bytes() const { return layout_.total_bytes(); }
  const File& bin() const { return bin_; }
  const std::filesystem::path& bin_path() const { return bin_.path(); }
  const std::filesystem::path& idx_path() const { return idx_.path(); }

  /// Fills `tokens` from [begin, begin + tokens.size()). Ids are not compared with a vocabulary.
  void read_tokens(int64_t begin, std::span<int32_t> tokens) const;

  /// Where document `document` of [0, num_documents()) begins; num_documents() gives num_tokens().
  [[nodiscard]] int64_t document_start(int64_t document) const;

  /// Where documents first, first + 1, ... begin, one entry of `starts` each; as above.
  void document_starts(int64_t first, std::span<int64_t> starts) const;

  /// The documents of tokens [begin, end). Appends to `starts` `token_shift` + each position where
  /// one begins; to `numbers` `document_shift` + the number of the document that holds `begin`,
  /// then of each that begins after it. Documents without tokens are passed over.
  void append_documents(int64_t begin, int64_t end, int64_t token_shift, int64_t document_shift,
                        std::vector<int64_t>& starts, std::vector<int64_t>& numbers) const;

  /// Reads the whole index: lengths are not negative, each pointer is the end of the sequence
  /// before, boundaries do not fall. Memory use does not depend on the size.
  void check_index() const;

 private:
  void make_samples();
  void read_header();
  void check_ends(int64_t bin_bytes);
  void check_sequences() const;
  void check_boundaries() const;
  void check_rise(int64_t document, int64_t previous, int64_t start) const;
  int64_t sampled_start(int64_t sample) const;
  int64_t page_with(int64_t token) const;
  void read_page(int64_t first, std::span<int64_t> starts) const;
  void read_pointers(int64_t first, std::span<int64_t> boundaries) const;
  int64_t token_of_pointer(int64_t sequence, int64_t pointer) const;
  int64_t token_of_boundary(int64_t document, int64_t boundary) const;
  [[noreturn]] void refuse(const File& file, std::string_view place, std::string_view expected,
                           std::string_view found) const;

  File bin_, idx_;
  TokenType type_ = TokenType::kUint16;
  IndexLayout layout_;
  int64_t num_tokens_ = 0;
  /// Where each document that is a multiple of sample_stride_ begins, -1 until it was read: most of
  /// a lookup's search then needs no file. At most 64 KiB.
  int64_t sample_stride_ = 1;
  mutable std::vector<std::atomic<int64_t>> samples_;
};

}  // namespace phalanx
