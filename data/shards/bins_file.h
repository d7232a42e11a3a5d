#pragma once
// The bins of a shard for one row length, PREFIX.bins-T: written when packing (or later, by
// `phalanx data bins`), read a bin at a time. Layout in FORMAT.md.
//
// Local. BinsFile owns one descriptor; const methods may run in several threads at once. Memory:
// none of the file is kept; writing keeps 8 bytes a bin and one group of documents.
// Errors: std::invalid_argument with file, place, expected and found; std::system_error when the
// machine fails.
#include <cstdint>
#include <filesystem>
#include <vector>

#include "data/file.h"
#include "data/shards/best_fit_bins.h"
#include "data/shards/dataset_manifest.h"

namespace phalanx {

[[nodiscard]] std::filesystem::path bins_path(const std::filesystem::path& prefix,
                                              int64_t sequence_length);

/// Packs the documents of the finished shard PREFIX for each length and writes PREFIX.bins-T, so
/// that it lasts. The entries for the manifest, by rising length; equal lengths count once. Throws
/// for a length outside [1, 2^30] and a shard of 2^32 documents.
[[nodiscard]] std::vector<BinsEntry> write_bins(const std::filesystem::path& prefix,
                                                std::vector<int64_t> sequence_lengths);

class BinsFile {
 public:
  /// Of the shard that `shard` describes. Checks header, counts and size.
  BinsFile(const std::filesystem::path& path, int64_t sequence_length, const ShardEntry& shard);

  int64_t num_bins() const { return num_bins_; }
  int64_t num_pieces() const { return num_pieces_; }
  const std::filesystem::path& path() const { return file_.path(); }

  /// The pieces of bin `bin` of [0, num_bins()), checked: in order, inside the shard, together at
  /// most T + 1 tokens.
  void read(int64_t bin, std::vector<BinPiece>& pieces) const;

 private:
  [[noreturn]] void refuse(const std::string& place, const std::string& expected,
                           const std::string& found) const;
  void check_pieces(int64_t bin, const std::vector<BinPiece>& pieces) const;

  File file_;
  int64_t sequence_length_, num_tokens_, num_documents_;
  int64_t num_bins_ = 0, num_pieces_ = 0;
};

}  // namespace phalanx
