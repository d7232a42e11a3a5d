#pragma once
// The tokens of a data set as one long stream: its shards one after another in manifest order.
//
// Local. Const methods may run in several threads at once. Opening reads dataset.json only, so that
// start-up does not depend on the number of shards; a shard is opened and checked against the
// manifest when it is first needed; of a data set in a store it is fetched then, unless it was
// expected. Open files (two descriptors a shard, four of a store's) belong to the FilePool, which
// all data sets of a run share.
// Positions and counts are tokens, 64 bits. Errors as ShardFile's; with `verify` those of
// BlockVerifier besides.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "data/shards/block_verifier.h"
#include "data/shards/dataset_manifest.h"
#include "data/shards/file_pool.h"
#include "data/shards/file_source.h"
#include "data/shards/shard_file.h"

namespace phalanx {

struct TokenPlace {
  size_t shard = 0;
  int64_t position = 0;  // inside the shard
};

struct ReaderOptions {
  std::shared_ptr<FilePool> files = nullptr;  // none: a pool of its own
  /// Each block of a .bin is compared with its hash before its first token is used, and each .idx
  /// when it is first opened. Files of a store are compared as they come; then here, whole, once
  /// more.
  bool verify = false;
};

class DatasetReader {
 public:
  explicit DatasetReader(const std::filesystem::path& folder, const ReaderOptions& options = {});
  explicit DatasetReader(std::shared_ptr<const FileSource> source,
                         const ReaderOptions& options = {});

  /// Folder or URL, for messages.
  const std::string& name() const { return source_->name(); }
  const FileSource& source() const { return *source_; }
  const DatasetManifest& manifest() const { return manifest_; }
  int64_t num_tokens() const { return shard_begins_.back(); }
  /// Where each shard begins, and the end of the last.
  const std::vector<int64_t>& shard_begins() const { return shard_begins_; }
  FilePool& files() const { return *files_; }
  bool verifies() const { return verify_; }

  /// Fills `tokens` from [begin, begin + tokens.size()), across shards. Ids are not compared with
  /// the vocabulary: callers that feed a model do that (see token_ids.h).
  void read_tokens(int64_t begin, std::span<int32_t> tokens) const;
  /// The same from one shard.
  void read_tokens(const TokenPlace& begin, std::span<int32_t> tokens) const;

  /// The documents of [begin, end): `starts` are the positions, less `begin`, where one begins,
  /// rising; `numbers` are that of the document that holds `begin` and of those that begin after
  /// it. Documents are numbered from 0 over the shards.
  void documents(int64_t begin, int64_t end, std::vector<int64_t>& starts,
                 std::vector<int64_t>& numbers) const;
  /// Of shard `shard`, the number of its first document.
  int64_t first_document(size_t shard) const { return document_begins_[shard]; }
  int64_t num_documents() const { return document_begins_.back(); }
  /// The shard that holds document `document` of [0, num_documents()).
  [[nodiscard]] size_t shard_of_document(int64_t document) const;
  /// The position of its first token.
  [[nodiscard]] int64_t document_begin(int64_t document) const;

  [[nodiscard]] TokenPlace find(int64_t position) const;
  [[nodiscard]] std::string bin_path(size_t shard) const;

  /// The files of a shard. Throws where a store would have to be asked for a size that the manifest
  /// does not record.
  [[nodiscard]] DatasetFile bin_file(size_t shard) const;
  [[nodiscard]] DatasetFile idx_file(size_t shard) const;
  [[nodiscard]] DatasetFile bins_file(size_t shard, const BinsEntry& bins) const;
  [[nodiscard]] DatasetFile origins_file(size_t shard) const;

  /// The first bytes of a .bin; all of it where it is short, or its hash is not recorded.
  [[nodiscard]] DatasetFile head_file(size_t shard) const;

  /// Of these shards tokens and documents are read next, in this order, and of no others soon: what
  /// else is open is closed, and a store fetches them ahead. `also` are further files of theirs; of
  /// `heads` no more than the beginning is read.
  void expect(const std::vector<size_t>& shards, const std::vector<DatasetFile>& also,
              const std::vector<size_t>& heads = {}) const;

  /// Compares the sizes of the files of shards first, first + stride, ... with the manifest, and
  /// opens none. With (rank, world) each rank of a job checks its share. A store is asked for the
  /// .bin of a few of them.
  void check_shards(size_t first, size_t stride) const;

  /// Compares the hash of a file of the data set with the one dataset.json gives it, once: what was
  /// found equal is remembered. Reads the whole file, holding no lock.
  void verify_file(const std::string& path, uint64_t expected) const;
  /// The same of a held file.
  void verify_held(const HeldFile& held, const DatasetFile& file) const {
    verify_file(held.path.string(), file.xxh3);
  }

  /// The open file of shard `shard`; it stays open while the pointer lives.
  [[nodiscard]] std::shared_ptr<const ShardFile> shard(size_t shard) const;

 private:
  std::shared_ptr<const ShardFile> open_checked(size_t shard, const DatasetFile& bin) const;
  /// The open file of a shard of which tokens or documents before `end` are read.
  std::shared_ptr<const ShardFile> shard_up_to(size_t shard, int64_t end) const;
  BlockVerifier& verifier(size_t shard, const std::filesystem::path& folder) const;
  int64_t recorded(int64_t bytes, const std::string& file) const;

  std::shared_ptr<const FileSource> source_;
  DatasetManifest manifest_;
  std::vector<int64_t> shard_begins_;     // num_shards + 1, the last is the total
  std::vector<int64_t> document_begins_;  // likewise
  std::shared_ptr<FilePool> files_;
  uint64_t user_, head_user_;  // of files_
  bool verify_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<BlockVerifier>> verifiers_;  // guarded by mutex_
  mutable std::set<std::string> verified_;                         // whole files; likewise
  mutable std::set<size_t> heads_;  // shards of which only the beginning is at hand; likewise
};

}  // namespace phalanx
