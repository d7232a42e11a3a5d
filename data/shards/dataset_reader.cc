#include "data/shards/dataset_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <system_error>

#include "data/shards/bins_file.h"
#include "data/shards/origins.h"

namespace phalanx {
namespace {

/// A shard and what keeps its files where they are.
struct HeldShard {
  HeldFile bin, idx;
  ShardFile file;
};

}  // namespace

DatasetReader::DatasetReader(const std::filesystem::path& folder, const ReaderOptions& options)
    : DatasetReader(std::make_shared<const FolderFiles>(folder), options) {}

DatasetReader::DatasetReader(std::shared_ptr<const FileSource> source, const ReaderOptions& options)
    : source_(std::move(source)),
      manifest_(parse_manifest(source_->read_text(std::string(kManifestName), kMaxManifestBytes),
                               source_->place_of(std::string(kManifestName)))),
      files_(options.files ? options.files : std::make_shared<FilePool>()),
      user_(files_->new_user()),
      head_user_(files_->new_user()),
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
    throw std::logic_error(fmt::format("{}: token {} of {}", name(), position, num_tokens()));
  }
  // The last shard that begins at or before the position; empty shards are stepped over.
  const auto after = std::upper_bound(shard_begins_.begin(), shard_begins_.end(), position);
  const auto shard = static_cast<size_t>(after - shard_begins_.begin()) - 1;
  return {shard, position - shard_begins_[shard]};
}

size_t DatasetReader::shard_of_document(int64_t document) const {
  if (document < 0 || document >= num_documents()) {
    throw std::logic_error(fmt::format("{}: document {} of {}", name(), document, num_documents()));
  }
  const auto after = std::upper_bound(document_begins_.begin(), document_begins_.end(), document);
  return static_cast<size_t>(after - document_begins_.begin()) - 1;
}

int64_t DatasetReader::document_begin(int64_t document) const {
  const size_t holder = shard_of_document(document);
  return shard_begins_[holder] + shard(holder)->document_start(document - first_document(holder));
}

std::string DatasetReader::bin_path(size_t shard) const {
  return source_->place_of(manifest_.shards[shard].file) + ".bin";
}

/// What a store must know of a file before it is fetched; a folder does without.
int64_t DatasetReader::recorded(int64_t bytes, const std::string& file) const {
  if (bytes > 0 || source_->folder()) return bytes;
  throw std::invalid_argument(fmt::format(
      "{}: expected the size of {}, which a data set that is fetched must record, found "
      "none: it was made by an older program; pack it again, or make its bins again",
      source_->place_of(std::string(kManifestName)), file));
}

DatasetFile DatasetReader::bin_file(size_t shard) const {
  const ShardEntry& entry = manifest_.shards[shard];
  return {entry.file + ".bin", entry.bin_bytes, entry.bin_xxh3};
}

DatasetFile DatasetReader::idx_file(size_t shard) const {
  const ShardEntry& entry = manifest_.shards[shard];
  const std::string file = entry.file + ".idx";
  return {file, recorded(entry.idx_bytes, file), entry.idx_xxh3};
}

DatasetFile DatasetReader::bins_file(size_t shard, const BinsEntry& bins) const {
  const std::string file = bins_path(manifest_.shards[shard].file, bins.sequence_length).string();
  return {file, recorded(bins.bytes, file), bins.xxh3};
}

DatasetFile DatasetReader::origins_file(size_t shard) const {
  const ShardEntry& entry = manifest_.shards[shard];
  return {entry.file + ".origins", origins_bytes(entry.num_documents), entry.origins_xxh3.value()};
}

DatasetFile DatasetReader::head_file(size_t shard) const {
  const ShardEntry& entry = manifest_.shards[shard];
  DatasetFile file = bin_file(shard);
  if (!entry.head_xxh3 || entry.head_bytes() == entry.bin_bytes) return file;
  return {file.name, entry.head_bytes(), *entry.head_xxh3, entry.bin_bytes};
}

void DatasetReader::expect(const std::vector<size_t>& shards, const std::vector<DatasetFile>& also,
                           const std::vector<size_t>& heads) const {
  if (source_->folder()) return;
  std::vector<DatasetFile> files;
  for (size_t i = 0; i < shards.size(); ++i) {
    files.push_back(bin_file(shards[i]));
    files.push_back(idx_file(shards[i]));
    if (i < also.size()) files.push_back(also[i]);
  }
  for (const size_t shard : heads) {
    files.push_back(head_file(shard));
    files.push_back(idx_file(shard));
  }
  const auto sorted = [](std::vector<size_t> numbers) {
    std::sort(numbers.begin(), numbers.end());
    return numbers;
  };
  files_->keep_only(user_, sorted(shards));
  files_->keep_only(head_user_, sorted(heads));
  {
    const std::lock_guard lock(mutex_);
    heads_ = std::set<size_t>(heads.begin(), heads.end());
  }
  source_->expect(files);
}

void DatasetReader::read_tokens(int64_t begin, std::span<int32_t> tokens) const {
  const auto count = static_cast<int64_t>(tokens.size());
  if (begin < 0 || count > num_tokens() || begin > num_tokens() - count) {
    throw std::logic_error(fmt::format("{}: read of tokens [{}, {} + {}) of {}", name(), begin,
                                       begin, count, num_tokens()));
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
  const auto file = shard_up_to(begin.shard, begin.position + static_cast<int64_t>(tokens.size()));
  if (const auto folder = verify_ ? source_->folder() : std::nullopt) {
    const int64_t width = token_bytes(manifest_.token_type);
    const int64_t end = begin.position + static_cast<int64_t>(tokens.size());
    verifier(begin.shard, *folder).verify(file->bin(), begin.position * width, end * width);
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
    shard_up_to(place.shard, shard_end - shard_begin)
        ->append_documents(place.position, shard_end - shard_begin, shard_begin - begin,
                           document_begins_[place.shard], starts, numbers);
    position = shard_end;
  }
}

void DatasetReader::check_shards(size_t first, size_t stride) const {
  size_t num_checks = 0;
  const auto folder = source_->folder();
  for (size_t i = first; i < manifest_.shards.size(); i += stride) {
    if (num_checks++ == source_->max_checks()) return;
    source_->check(bin_file(i));
    if (!folder) continue;
    if (manifest_.shards[i].idx_bytes > 0) source_->check(idx_file(i));
    const std::string prefix = source_->place_of(manifest_.shards[i].file);
    std::error_code error;
    if (!verify_ || std::filesystem::exists(prefix + ".xxh3", error)) continue;
    throw std::invalid_argument(
        fmt::format("{}.xxh3: expected the hashes of {}.bin, which data.verify compares, found no "
                    "such file: pack the data again, or say data.verify: false",
                    prefix, manifest_.shards[i].file));
  }
}

std::shared_ptr<const ShardFile> DatasetReader::open_checked(size_t shard,
                                                             const DatasetFile& bin_file) const {
  const ShardEntry& entry = manifest_.shards[shard];
  const HeldFile bin = source_->hold(bin_file);
  const HeldFile idx = source_->hold(idx_file(shard));
  const auto held = std::make_shared<const HeldShard>(
      HeldShard{bin, idx,
                bin_file.head_of > 0 ? ShardFile(bin.path, idx.path, bin_file.head_of)
                                     : ShardFile(bin.path, idx.path)});
  const std::shared_ptr<const ShardFile> file(held, &held->file);
  const auto check = [&](const char* what, auto expected, auto found) {
    if (expected == found) return;
    throw std::invalid_argument(fmt::format("{}.idx: {}: expected {} as {} says, found {}",
                                            source_->place_of(entry.file), what, expected,
                                            source_->place_of(std::string(kManifestName)), found));
  };
  check("dtype", token_type_name(manifest_.token_type), token_type_name(file->token_type()));
  check("tokens", entry.num_tokens, file->num_tokens());
  check("documents", entry.num_documents, file->num_documents());
  if (entry.idx_bytes > 0) check("bytes", entry.idx_bytes, file->idx_bytes());
  return file;
}

BlockVerifier& DatasetReader::verifier(size_t shard, const std::filesystem::path& folder) const {
  const ShardEntry& entry = manifest_.shards[shard];
  const std::filesystem::path prefix = folder / entry.file;
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
        "{}: XXH3: expected {} as {} says, found {}: the file changed since it was written{}", path,
        hash_text(expected), source_->place_of(std::string(kManifestName)), hash_text(found),
        source_->folder() ? "" : "; remove it: it is a copy, and is fetched again"));
  }
  const std::lock_guard lock(mutex_);
  verified_.insert(path);
}

std::shared_ptr<const ShardFile> DatasetReader::shard_up_to(size_t shard, int64_t end) const {
  if (source_->folder()) return this->shard(shard);
  const DatasetFile head = head_file(shard);
  if (head.head_of == 0 || end * token_bytes(manifest_.token_type) > head.bytes) {
    return this->shard(shard);
  }
  {
    const std::lock_guard lock(mutex_);
    if (!heads_.contains(shard)) return this->shard(shard);
  }
  auto file =
      files_->get<ShardFile>(head_user_, shard, 4, [&] { return open_checked(shard, head); });
  if (verify_) verify_file(file->bin_path().string(), head.xxh3);
  return file;
}

std::shared_ptr<const ShardFile> DatasetReader::shard(size_t shard) const {
  const auto folder = source_->folder();
  auto file = files_->get<ShardFile>(
      user_, shard, folder ? 2 : 4, [this, shard] { return open_checked(shard, bin_file(shard)); });
  if (!verify_) return file;
  if (folder) {
    (void)verifier(shard, *folder);
  } else {
    verify_file(file->bin_path().string(), manifest_.shards[shard].bin_xxh3);
    verify_file(file->idx_path().string(), manifest_.shards[shard].idx_xxh3);
  }
  return file;
}

}  // namespace phalanx
