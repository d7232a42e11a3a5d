#include "data/shards/origins.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "data/shards/shard_layout.h"

namespace phalanx {
namespace {

constexpr int64_t kMaxInputListBytes = int64_t{4} << 30;

struct OriginHeader {
  std::array<char, 8> magic = {'p', 'h', 'x', 'o', 'r', 'i', 'g', '1'};
  int64_t num_documents = 0;
};

struct OriginEntry {
  uint64_t file = 0;
  int64_t line = 0;
};
static_assert(sizeof(OriginHeader) == 16 && sizeof(OriginEntry) == 16, "written as they are");

bool has_origins(const ShardEntry& shard) { return shard.origins_xxh3.has_value(); }

OriginEntry read_entry(const std::filesystem::path& path, int64_t num_documents, int64_t document) {
  const File file = File::open_read(path);
  const int64_t expected = origins_bytes(num_documents);
  const int64_t size = file.size();
  OriginHeader header;
  if (size == expected) header = read_value<OriginHeader>(file, 0);
  if (size != expected || header.magic != OriginHeader().magic ||
      header.num_documents != num_documents) {
    throw std::invalid_argument(
        fmt::format("{}: expected the origins of {} documents in {} bytes, found {} bytes, {} "
                    "documents",
                    path.string(), num_documents, expected, size, header.num_documents));
  }
  return read_value<OriginEntry>(file, (document + 1) * static_cast<int64_t>(sizeof(OriginEntry)));
}

/// The paths of the input files; one of a store is compared with its hash, as its other files are.
std::string input_list(const DatasetReader& dataset) {
  const std::string file(kInputListName);
  std::string list = dataset.source().read_text(file, kMaxInputListBytes);
  const std::optional<uint64_t>& expected = dataset.manifest().packing.inputs_xxh3;
  if (dataset.source().folder() || !expected || *expected == xxh3(list)) return list;
  throw std::invalid_argument(fmt::format("{}: XXH3: expected {} as {} says, found {}",
                                          dataset.source().place_of(file), hash_text(*expected),
                                          kManifestName, hash_text(xxh3(list))));
}

}  // namespace

int64_t origins_bytes(int64_t num_documents) {
  return (num_documents + 1) * static_cast<int64_t>(sizeof(OriginEntry));
}

std::string origin_text(const DocumentOrigin& origin) {
  return origin.line == 0 ? origin.file : fmt::format("{}:{}", origin.file, origin.line);
}

OriginWriter::OriginWriter(const std::filesystem::path& path, int64_t num_documents)
    : writer_(path) {
  OriginHeader header;
  header.num_documents = num_documents;
  writer_.write(std::as_bytes(std::span(&header, 1)));
}

void OriginWriter::add(uint64_t file, int64_t line) {
  const OriginEntry entry{file, line};
  writer_.write(std::as_bytes(std::span(&entry, 1)));
}

WrittenFile OriginWriter::finish() { return writer_.finish(); }

OriginReader::OriginReader(std::shared_ptr<const DatasetReader> dataset)
    : dataset_(std::move(dataset)) {
  const std::vector<ShardEntry>& shards = dataset_->manifest().shards;
  if (std::none_of(shards.begin(), shards.end(), has_origins)) return;
  const std::string list = input_list(*dataset_);
  for (size_t begin = 0; begin < list.size();) {
    const size_t end = std::min(list.find('\n', begin), list.size());
    inputs_.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
}

std::optional<DocumentOrigin> OriginReader::find(int64_t document) const {
  int64_t inside = document;
  const std::vector<ShardEntry>& shards = dataset_->manifest().shards;
  for (size_t i = 0; i < shards.size(); ++i) {
    const ShardEntry& shard = shards[i];
    if (inside >= 0 && inside < shard.num_documents) {
      if (!has_origins(shard)) return std::nullopt;
      const HeldFile held = dataset_->source().hold(dataset_->origins_file(i));
      const std::filesystem::path& path = held.path;
      const OriginEntry entry = read_entry(path, shard.num_documents, inside);
      if (entry.file >= inputs_.size()) {
        throw std::invalid_argument(
            fmt::format("{}: document {}: expected one of the {} files of {}, found number {}",
                        path.string(), inside, inputs_.size(), kInputListName, entry.file));
      }
      return DocumentOrigin{inputs_[entry.file], entry.line};
    }
    inside -= shard.num_documents;
  }
  throw std::invalid_argument(fmt::format("{}: expected a document from 0 to {}, found {}",
                                          dataset_->name(),
                                          dataset_->manifest().num_documents() - 1, document));
}

}  // namespace phalanx
