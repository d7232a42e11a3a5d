#include "data/mixture/source_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "data/mixture/token_ids.h"

namespace phalanx {

SourceLoader::SourceLoader(std::shared_ptr<const DatasetReader> reader,
                           const SourceLoaderConfig& config)
    : reader_(std::move(reader)),
      length_(config.sequence_length),
      vocab_size_(config.vocab_size.value_or(reader_->manifest().vocab_size)),
      first_token_(config.first_token),
      end_token_(config.end_token.value_or(reader_->num_tokens())),
      masked_(config.masked) {
  const std::string& folder = reader_->name();
  if (length_ < 1) {
    throw std::invalid_argument(
        fmt::format("{}: sequence length: expected at least 1, found {}", folder, length_));
  }
  if (first_token_ < 0 || end_token_ > reader_->num_tokens()) {
    throw std::invalid_argument(
        fmt::format("{}: token range: expected within [0, {}), found [{}, {})", folder,
                    reader_->num_tokens(), first_token_, end_token_));
  }
  if (end_token_ - first_token_ < 2) {
    throw std::invalid_argument(
        fmt::format("{}: expected at least 2 tokens (an input and its target), found {}", folder,
                    std::max<int64_t>(0, end_token_ - first_token_)));
  }
  count_rows();
}

void SourceLoader::count_rows() {
  const auto ceil_rows = [&](int64_t tokens) { return tokens / length_ + (tokens % length_ != 0); };
  num_rows_ = ceil_rows(end_token_ - first_token_ - 1);
  for (const int64_t begin : reader_->shard_begins()) {
    shard_rows_.push_back(
        std::min(num_rows_, ceil_rows(std::clamp(begin, first_token_, end_token_) - first_token_)));
  }
}

void SourceLoader::expect(const std::vector<size_t>& shards) const {
  std::vector<size_t> heads;
  for (const size_t shard : shards) {
    // A window that begins in a shard may end in the next.
    const size_t next = shard + 1;
    if (next == reader_->manifest().shards.size()) continue;
    if (std::find(shards.begin(), shards.end(), next) == shards.end()) heads.push_back(next);
  }
  reader_->expect(shards, {}, heads);
}

void SourceLoader::read(int64_t window, Row& row) const {
  if (window < 0 || window >= num_rows_) {
    throw std::logic_error(fmt::format("{}: window {} of {}", reader_->name(), window, num_rows_));
  }
  const int64_t begin = first_token_ + window * length_;
  const int64_t count = std::min(length_ + 1, end_token_ - begin);
  row.tokens.resize(static_cast<size_t>(length_) + 1);
  std::fill(row.tokens.begin() + count, row.tokens.end(), reader_->manifest().end_of_document);
  const auto tokens = std::span(row.tokens).first(static_cast<size_t>(count));
  reader_->read_tokens(begin, tokens);
  check_ids(*reader_, reader_->find(begin), tokens, vocab_size_);
  row.num_valid_targets = count - 1;
  reader_->documents(begin, begin + count, row.document_starts, row.documents);
  row.masked_targets.clear();
  if (masked_) mask_documents(*masked_, row);
}

}  // namespace phalanx
