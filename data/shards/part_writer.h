#pragma once
// Writes one part of a data set (train or validation): documents into shards, then dataset.json.
//
// Local. One owner. Writes into the folder of an unfinished data set; the caller commits that
// folder (data/file.h). A shard is closed before the document that would make it longer than
// `shard_tokens`. Errors: as ShardWriter's; a document longer than a shard is
// std::invalid_argument.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/shards/dataset_manifest.h"
#include "data/shards/shard_writer.h"

namespace phalanx {

/// Finishes FOLDER/FILE, then writes FOLDER/FILE.xxh3 and bins for each of `bin_lengths`; the entry
/// lacks what other sidecars record.
[[nodiscard]] ShardEntry finish_shard(ShardWriter& writer, const std::filesystem::path& folder,
                                      const std::string& file,
                                      const std::vector<int64_t>& bin_lengths);

class PartWriter {
 public:
  /// Makes `folder`. `manifest` comes with everything but shards and text_bytes.
  PartWriter(const std::filesystem::path& folder, DatasetManifest manifest, int64_t shard_tokens);

  /// `name` is what messages call the document; `tokens` end with the end-of-document token.
  void add_document(const std::string& name, int64_t text_bytes, std::span<const int32_t> tokens);

  int64_t num_tokens() const { return num_tokens_; }

  /// Counts of the input, for callers that learn them on the way; kept by finish().
  PackingRecord& packing() { return manifest_.packing; }

  /// Writes dataset.json last and syncs the folder.
  DatasetManifest finish();

 private:
  void close_shard();

  std::filesystem::path folder_;
  DatasetManifest manifest_;
  int64_t shard_tokens_;
  int64_t num_tokens_ = 0;
  std::optional<ShardWriter> shard_;
};

}  // namespace phalanx
