#include "data/shards/part_writer.h"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "data/file.h"
#include "data/shards/bins_file.h"
#include "data/shards/block_verifier.h"

namespace phalanx {

ShardEntry finish_shard(ShardWriter& writer, const std::filesystem::path& folder,
                        const std::string& file, const std::vector<int64_t>& bin_lengths) {
  const WrittenShard written = writer.finish();
  std::string blocks;
  for (const uint64_t hash : written.bin.block_hashes) blocks += hash_text(hash) + "\n";
  commit_file(folder / (file + ".xxh3"), blocks);
  ShardEntry entry;
  entry.file = file;
  entry.num_tokens = written.num_tokens;
  entry.num_documents = written.num_documents;
  entry.bin_bytes = written.bin.bytes;
  entry.bin_xxh3 = written.bin.xxh3;
  entry.idx_xxh3 = written.idx.xxh3;
  entry.idx_bytes = written.idx.bytes;
  entry.head_xxh3 = hash_file(folder / (file + ".bin"), kHeadBytes);
  entry.bins = write_bins(folder / file, bin_lengths);
  return entry;
}

PartWriter::PartWriter(const std::filesystem::path& folder, DatasetManifest manifest,
                       int64_t shard_tokens)
    : folder_(folder), manifest_(std::move(manifest)), shard_tokens_(shard_tokens) {
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
  ShardEntry& entry = manifest_.shards.back();
  entry = finish_shard(*shard_, folder_, entry.file, {});
  shard_.reset();
}

DatasetManifest PartWriter::finish() {
  if (shard_) close_shard();
  commit_file(folder_ / kManifestName, manifest_json(manifest_));
  return manifest_;
}

}  // namespace phalanx
