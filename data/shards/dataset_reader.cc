#include "data/shards/dataset_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace phalanx {

DatasetReader::DatasetReader(const std::filesystem::path& folder, size_t max_open_shards)
    : folder_(folder),
      manifest_(load_manifest(folder)),
      max_open_shards_(std::max<size_t>(1, max_open_shards)) {
  shard_begins_.push_back(0);
  for (const ShardEntry& shard : manifest_.shards) {
    shard_begins_.push_back(shard_begins_.back() + shard.num_tokens);
  }
}

TokenPlace DatasetReader::find(int64_t position) const {
  if (position < 0 || position >= num_tokens()) {
    throw std::logic_error(
        fmt::format("{}: token {} of {}", folder_.string(), position, num_tokens()));
  }
  // The last shard that begins at or before the position; empty shards are stepped over.
  const auto after = std::upper_bound(shard_begins_.begin(), shard_begins_.end(), position);
  const auto shard = static_cast<size_t>(after - shard_begins_.begin()) - 1;
  return {shard, position - shard_begins_[shard]};
}

std::string DatasetReader::bin_path(size_t shard) const {
  return (folder_ / manifest_.shards[shard].file).string() + ".bin";
}

void DatasetReader::read_tokens(int64_t begin, std::span<int32_t> tokens) const {
  const auto count = static_cast<int64_t>(tokens.size());
  if (begin < 0 || count > num_tokens() || begin > num_tokens() - count) {
    throw std::logic_error(fmt::format("{}: read of tokens [{}, {} + {}) of {}", folder_.string(),
                                       begin, begin, count, num_tokens()));
  }
  while (!tokens.empty()) {
    const TokenPlace place = find(begin);
    const int64_t left = shard_begins_[place.shard + 1] - begin;
    const auto n = std::min(tokens.size(), static_cast<size_t>(left));
    shard(place.shard)->read_tokens(place.position, tokens.first(n));
    tokens = tokens.subspan(n);
    begin += static_cast<int64_t>(n);
  }
}

void DatasetReader::document_starts(int64_t begin, int64_t end,
                                    std::vector<int64_t>& starts) const {
  starts.clear();
  end = std::min(end, num_tokens());
  for (int64_t position = begin; position < end;) {
    const TokenPlace place = find(position);
    const int64_t shard_begin = shard_begins_[place.shard];
    const int64_t shard_end = std::min(end, shard_begins_[place.shard + 1]);
    shard(place.shard)
        ->append_document_starts(place.position, shard_end - shard_begin, shard_begin - begin,
                                 starts);
    position = shard_end;
  }
}

void DatasetReader::check_shards(size_t first, size_t stride) const {
  for (size_t i = first; i < manifest_.shards.size(); i += stride) open_checked(i);
}

std::shared_ptr<const ShardFile> DatasetReader::open_checked(size_t shard) const {
  const ShardEntry& entry = manifest_.shards[shard];
  auto file = std::make_shared<const ShardFile>(folder_ / entry.file);
  const auto check = [&](const char* what, auto expected, auto found) {
    if (expected == found) return;
    throw std::invalid_argument(fmt::format("{}: {}: expected {} as {} says, found {}",
                                            file->idx_path().string(), what, expected,
                                            (folder_ / kManifestName).string(), found));
  };
  check("dtype", token_type_name(manifest_.token_type), token_type_name(file->token_type()));
  check("tokens", entry.num_tokens, file->num_tokens());
  check("documents", entry.num_documents, file->num_documents());
  if (entry.idx_bytes > 0) check("bytes", entry.idx_bytes, file->idx_bytes());
  return file;
}

std::shared_ptr<const ShardFile> DatasetReader::shard(size_t shard) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(open_.begin(), open_.end(),
                                  [&](const OpenShard& open) { return open.shard == shard; });
  if (found != open_.end()) {
    open_.splice(open_.begin(), open_, found);
  } else {
    open_.push_front({shard, open_checked(shard)});
    if (open_.size() > max_open_shards_) open_.pop_back();
  }
  return open_.front().file;
}

}  // namespace phalanx
