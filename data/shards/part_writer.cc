#include "data/shards/part_writer.h"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "data/file.h"
#include "data/shards/bins_file.h"

namespace phalanx {

PartWriter::PartWriter(const std::filesystem::path& folder, DatasetManifest manifest,
                       int64_t shard_tokens, std::vector<int64_t> bin_lengths)
    : folder_(folder),
      manifest_(std::move(manifest)),
      shard_tokens_(shard_tokens),
      bin_lengths_(std::move(bin_lengths)) {
  make_folders(folder_);
}

void PartWriter::add_document(const std::string& name, int64_t text_bytes,
                              std::span<const int32_t> tokens) {
  const auto length = static_cast<int64_t>(tokens.size());
  if (length > shard_tokens_) {
    throw std::invalid_argument(fmt::format(
        "{}: expected at most {} tokens, the size of a shard, found {}: split the document or "
        "allow larger shards",
        name, shard_tokens_, length));
  }
  if (shard_ && shard_->num_tokens() + length > shard_tokens_) close_shard();
  if (!shard_) {
    const std::string file = fmt::format("shard-{:05}", manifest_.shards.size());
    shard_.emplace(folder_ / file, manifest_.token_type);
    manifest_.shards.push_back({});
    manifest_.shards.back().file = file;
  }
  shard_->add_document(tokens);
  manifest_.text_bytes += text_bytes;
  num_tokens_ += length;
}

void PartWriter::close_shard() {
  const WrittenShard written = shard_->finish();
  shard_.reset();
  ShardEntry& entry = manifest_.shards.back();
  entry.num_tokens = written.num_tokens;
  entry.num_documents = written.num_documents;
  entry.bin_bytes = written.bin.bytes;
  entry.bin_xxh3 = written.bin.xxh3;
  entry.idx_xxh3 = written.idx.xxh3;
  entry.idx_bytes = written.idx.bytes;
  std::string blocks;
  for (const uint64_t hash : written.bin.block_hashes) blocks += hash_text(hash) + "\n";
  commit_file(folder_ / (entry.file + ".xxh3"), blocks);
  entry.bins = write_bins(folder_ / entry.file, bin_lengths_);
}

DatasetManifest PartWriter::finish() {
  if (shard_) close_shard();
  commit_file(folder_ / kManifestName, manifest_json(manifest_));
  return manifest_;
}

}  // namespace phalanx
