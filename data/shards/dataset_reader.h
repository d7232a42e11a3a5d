#pragma once
// The tokens of a data set as one long stream: its shards one after another in manifest order.
//
// Local. Const methods may run in several threads at once. Opening reads dataset.json only, so that
// start-up does not depend on the number of shards; a shard is opened and checked against the
// manifest when it is first needed, or by check_shards(). At most `max_open_shards` stay open (two
// descriptors each), the least recently used is closed first.
// Positions and counts are tokens, 64 bits. Errors as ShardFile's.
#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "data/shards/dataset_manifest.h"
#include "data/shards/shard_file.h"

namespace phalanx {

struct TokenPlace {
  size_t shard = 0;
  int64_t position = 0;  // inside the shard
};

class DatasetReader {
 public:
  explicit DatasetReader(const std::filesystem::path& folder, size_t max_open_shards = 64);

  const std::filesystem::path& folder() const { return folder_; }
  const DatasetManifest& manifest() const { return manifest_; }
  int64_t num_tokens() const { return shard_begins_.back(); }

  /// Fills `tokens` from [begin, begin + tokens.size()), across shards. Ids are not compared with
  /// the vocabulary: callers that feed a model do that (see SourceLoader).
  void read_tokens(int64_t begin, std::span<int32_t> tokens) const;

  /// Positions in [begin, end) where a document begins, rising, less `begin`.
  void document_starts(int64_t begin, int64_t end, std::vector<int64_t>& starts) const;

  [[nodiscard]] TokenPlace find(int64_t position) const;
  [[nodiscard]] std::string bin_path(size_t shard) const;

  /// Opens shards first, first + stride, ... and checks sizes and headers against the manifest.
  /// With (rank, world) each rank of a job checks its share.
  void check_shards(size_t first, size_t stride) const;

  /// The open file of shard `shard`; it stays open while the pointer lives.
  [[nodiscard]] std::shared_ptr<const ShardFile> shard(size_t shard) const;

 private:
  struct OpenShard {
    size_t shard;
    std::shared_ptr<const ShardFile> file;
  };
  std::shared_ptr<const ShardFile> open_checked(size_t shard) const;

  std::filesystem::path folder_;
  DatasetManifest manifest_;
  std::vector<int64_t> shard_begins_;  // num_shards + 1, the last is the total
  size_t max_open_shards_;
  mutable std::mutex mutex_;
  mutable std::list<OpenShard> open_;  // guarded by mutex_; most recently used first
};

}  // namespace phalanx
