#include "data/shards/dataset_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <system_error>

namespace phalanx {
namespace {

void check_size(const std::string& path, int64_t expected) {
  std::error_code error;
  const auto found = std::filesystem::file_size(path, error);
  if (error) throw std::system_error(error, "stat " + path);
  if (static_cast<int64_t>(found) == expected) return;
  throw std::invalid_argument(
      fmt::format("{}: size: expected {} bytes as {} beside it says, found {} bytes", path,
                  expected, kManifestName, found));
}

}  // namespace

DatasetReader::DatasetReader(const std::filesystem::path& folder, const ReaderOptions& options)
    : folder_(folder),
      manifest_(load_manifest(folder)),
      files_(options.files ? options.files : std::make_shared<FilePool>()),
      user_(files_->new_user()),
      verify_(options.verify) {
  shard_begins_.push_back(0);
  document_begins_.push_back(0);
  for (const ShardEntry& shard : manifest_.shards) {
    shard_begins_.push_back(shard_begins_.back() + shard.num_tokens);
    document_begins_.push_back(document_begins_.back() + shard.num_documents);
  }
  if (verify_) verifiers_.resize(manifest_.shards.size());
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

size_t DatasetReader::shard_of_document(int64_t document) const {
  if (document < 0 || document >= num_documents()) {
    throw std::logic_error(
        fmt::format("{}: document {} of {}", folder_.string(), document, num_documents()));
  }
  const auto after = std::upper_bound(document_begins_.begin(), document_begins_.end(), document);
  return static_cast<size_t>(after - document_begins_.begin()) - 1;
}

int64_t DatasetReader::document_begin(int64_t document) const {
  const size_t holder = shard_of_document(document);
  return shard_begins_[holder] + shard(holder)->document_start(document - first_document(holder));
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
    read_tokens(place, tokens.first(n));
    tokens = tokens.subspan(n);
    begin += static_cast<int64_t>(n);
  }
}

void DatasetReader::read_tokens(const TokenPlace& begin, std::span<int32_t> tokens) const {
  const auto file = shard(begin.shard);
  if (verify_) {
    const int64_t width = token_bytes(manifest_.token_type);
    const int64_t end = begin.position + static_cast<int64_t>(tokens.size());
    verifier(begin.shard).verify(file->bin(), begin.position * width, end * width);
  }
  file->read_tokens(begin.position, tokens);
}

void DatasetReader::documents(int64_t begin, int64_t end, std::vector<int64_t>& starts,
                              std::vector<int64_t>& numbers) const {
  starts.clear();
  numbers.clear();
  end = std::min(end, num_tokens());
  for (int64_t position = begin; position < end;) {
    const TokenPlace place = find(position);
    const int64_t shard_begin = shard_begins_[place.shard];
    const int64_t shard_end = std::min(end, shard_begins_[place.shard + 1]);
    shard(place.shard)
        ->append_documents(place.position, shard_end - shard_begin, shard_begin - begin,
                           document_begins_[place.shard], starts, numbers);
    position = shard_end;
  }
}

void DatasetReader::check_shards(size_t first, size_t stride) const {
  for (size_t i = first; i < manifest_.shards.size(); i += stride) {
    const ShardEntry& entry = manifest_.shards[i];
    const std::string prefix = (folder_ / entry.file).string();
    check_size(prefix + ".bin", entry.bin_bytes);
    if (entry.idx_bytes > 0) check_size(prefix + ".idx", entry.idx_bytes);
    std::error_code error;
    if (!verify_ || std::filesystem::exists(prefix + ".xxh3", error)) continue;
    throw std::invalid_argument(
        fmt::format("{}.xxh3: expected the hashes of {}.bin, which data.verify compares, found no "
                    "such file: pack the data again, or say data.verify: false",
                    prefix, entry.file));
  }
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

BlockVerifier& DatasetReader::verifier(size_t shard) const {
  const ShardEntry& entry = manifest_.shards[shard];
  const std::filesystem::path prefix = folder_ / entry.file;
  verify_file(prefix.string() + ".idx", entry.idx_xxh3);
  const std::lock_guard lock(mutex_);
  std::unique_ptr<BlockVerifier>& verifier = verifiers_[shard];
  if (!verifier) verifier = std::make_unique<BlockVerifier>(prefix, entry.bin_bytes);
  return *verifier;
}

void DatasetReader::verify_file(const std::string& path, uint64_t expected) const {
  {
    const std::lock_guard lock(mutex_);
    if (verified_.count(path) > 0) return;
  }
  // Nobody waits for this: two threads that need the same file at once both read it.
  const uint64_t found = hash_file(path);
  if (found != expected) {
    throw std::invalid_argument(fmt::format(
        "{}: XXH3: expected {} as {} says, found {}: the file changed since it was written", path,
        hash_text(expected), (folder_ / kManifestName).string(), hash_text(found)));
  }
  const std::lock_guard lock(mutex_);
  verified_.insert(path);
}

std::shared_ptr<const ShardFile> DatasetReader::shard(size_t shard) const {
  auto file =
      files_->get<ShardFile>(user_, shard, 2, [this, shard] { return open_checked(shard); });
  if (verify_) (void)verifier(shard);
  return file;
}

}  // namespace phalanx
