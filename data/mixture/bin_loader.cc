#include "data/mixture/bin_loader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>

#include "data/mixture/token_ids.h"

namespace phalanx {
namespace {

const BinsEntry* find_bins(const ShardEntry& shard, int64_t sequence_length) {
  for (const BinsEntry& bins : shard.bins) {
    if (bins.sequence_length == sequence_length) return &bins;
  }
  return nullptr;
}

/// A file of bins and what keeps it where it is.
struct HeldBins {
  HeldFile file;
  BinsFile bins;
};

[[noreturn]] void refuse_length(const DatasetReader& reader, const ShardEntry& shard,
                                int64_t sequence_length) {
  std::vector<int64_t> there;
  for (const BinsEntry& bins : shard.bins) there.push_back(bins.sequence_length);
  const std::string& folder = reader.name();
  throw std::invalid_argument(fmt::format(
      "{}: {}: expected bins of sequence_length {} for data.packing best_fit, found {}: make them "
      "with `phalanx data bins {} --sequence-length {}`",
      folder, shard.file, sequence_length,
      there.empty() ? "none" : fmt::format("those of {}", fmt::join(there, ", ")), folder,
      sequence_length));
}

}  // namespace

BinLoader::BinLoader(std::shared_ptr<const DatasetReader> reader, const SourceLoaderConfig& config)
    : reader_(std::move(reader)),
      config_(config),
      vocab_size_(config.vocab_size.value_or(reader_->manifest().vocab_size)),
      user_(reader_->files().new_user()),
      first_rows_{0} {
  const int64_t end = config.end_token.value_or(reader_->num_tokens());
  if (config.first_token != 0 || end != reader_->num_tokens()) {
    throw std::invalid_argument(fmt::format(
        "{}: expected all of its tokens for data.packing best_fit, whose bins are made of whole "
        "shards, found a part of them",
        reader_->name()));
  }
  for (const ShardEntry& shard : reader_->manifest().shards) {
    const BinsEntry* bins = find_bins(shard, config.sequence_length);
    if (!bins) refuse_length(*reader_, shard, config.sequence_length);
    first_rows_.push_back(first_rows_.back() + bins->num_bins);
  }
  if (num_rows() == 0) {
    throw std::invalid_argument(fmt::format(
        "{}: expected a document of at least 2 tokens (an input and its target), found none",
        reader_->name()));
  }
}

std::shared_ptr<const BinsFile> BinLoader::bins(size_t shard) const {
  auto bins = reader_->files().get<BinsFile>(user_, shard, reader_->source().folder() ? 1 : 2,
                                             [this, shard] { return open_bins(shard); });
  if (reader_->verifies()) {
    const ShardEntry& entry = reader_->manifest().shards[shard];
    reader_->verify_file(bins->path().string(), find_bins(entry, config_.sequence_length)->xxh3);
  }
  return bins;
}

std::shared_ptr<const BinsFile> BinLoader::open_bins(size_t shard) const {
  const ShardEntry& entry = reader_->manifest().shards[shard];
  const BinsEntry& recorded = *find_bins(entry, config_.sequence_length);
  const HeldFile file = reader_->source().hold(reader_->bins_file(shard, recorded));
  const auto held = std::make_shared<const HeldBins>(
      HeldBins{file, BinsFile(file.path, config_.sequence_length, entry)});
  std::shared_ptr<const BinsFile> bins(held, &held->bins);
  const int64_t expected = recorded.num_bins;
  if (bins->num_bins() != expected) {
    throw std::invalid_argument(fmt::format("{}: bins: expected {} as {} beside it says, found {}",
                                            bins->path().string(), expected, kManifestName,
                                            bins->num_bins()));
  }
  return bins;
}

void BinLoader::expect(const std::vector<size_t>& shards) const {
  if (reader_->source().folder()) return;
  std::vector<DatasetFile> files;
  for (const size_t shard : shards) {
    files.push_back(reader_->bins_file(
        shard, *find_bins(reader_->manifest().shards[shard], config_.sequence_length)));
  }
  std::vector<size_t> open = shards;
  std::sort(open.begin(), open.end());
  reader_->files().keep_only(user_, open);
  reader_->expect(shards, files);
}

size_t BinLoader::find_pieces(int64_t window, std::vector<BinPiece>& pieces) const {
  if (window < 0 || window >= num_rows()) {
    throw std::logic_error(fmt::format("{}: bin {} of {}", reader_->name(), window, num_rows()));
  }
  const auto after = std::upper_bound(first_rows_.begin(), first_rows_.end(), window);
  const auto shard = static_cast<size_t>(after - first_rows_.begin()) - 1;
  bins(shard)->read(window - first_rows_[shard], pieces);
  return shard;
}

void BinLoader::read(int64_t window, Row& row) const {
  std::vector<BinPiece> pieces;
  const size_t shard = find_pieces(window, pieces);
  row.tokens.resize(static_cast<size_t>(config_.sequence_length) + 1);
  row.document_starts.clear();
  row.documents.clear();
  std::span<int32_t> free = row.tokens;
  for (const BinPiece& piece : pieces) {
    row.document_starts.push_back(static_cast<int64_t>(row.tokens.size() - free.size()));
    row.documents.push_back(reader_->first_document(shard) + piece.document);
    const auto tokens = free.first(static_cast<size_t>(piece.length));
    reader_->read_tokens({shard, piece.begin}, tokens);
    check_ids(*reader_, {shard, piece.begin}, tokens, vocab_size_);
    free = free.subspan(tokens.size());
  }
  std::fill(free.begin(), free.end(), reader_->manifest().end_of_document);
  row.num_valid_targets = static_cast<int64_t>(row.tokens.size() - free.size()) - 1;
  row.masked_targets.clear();
  if (config_.masked) mask_documents(*config_.masked, row);
}

std::string bins_fingerprint(const DatasetManifest& manifest,
                             std::vector<int64_t> sequence_lengths) {
  std::sort(sequence_lengths.begin(), sequence_lengths.end());
  sequence_lengths.erase(std::unique(sequence_lengths.begin(), sequence_lengths.end()),
                         sequence_lengths.end());
  std::string text = manifest.order_fingerprint();
  for (const int64_t length : sequence_lengths) {
    std::string hashes;
    for (const ShardEntry& shard : manifest.shards) {
      const BinsEntry* bins = find_bins(shard, length);
      if (bins) hashes += hash_text(bins->xxh3) + "\n";
    }
    text += fmt::format("/bins-{}:{}", length, hash_text(xxh3(hashes)));
  }
  return text;
}

}  // namespace phalanx
