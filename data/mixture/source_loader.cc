#include "data/mixture/source_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace phalanx {

SourceLoader::SourceLoader(std::shared_ptr<const DatasetReader> reader,
                           const SourceLoaderConfig& config)
    : reader_(std::move(reader)),
      length_(config.sequence_length),
      vocab_size_(config.vocab_size.value_or(reader_->manifest().vocab_size)),
      first_token_(config.first_token),
      end_token_(config.end_token.value_or(reader_->num_tokens())) {
  const std::string folder = reader_->folder().string();
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
  const int64_t num_targets = end_token_ - first_token_ - 1;
  num_rows_ = num_targets / length_ + (num_targets % length_ != 0);
}

void SourceLoader::read(int64_t window, Row& row) const {
  if (window < 0 || window >= num_rows_) {
    throw std::logic_error(
        fmt::format("{}: window {} of {}", reader_->folder().string(), window, num_rows_));
  }
  const int64_t begin = first_token_ + window * length_;
  const int64_t count = std::min(length_ + 1, end_token_ - begin);
  row.tokens.assign(static_cast<size_t>(length_) + 1, reader_->manifest().end_of_document);
  const auto tokens = std::span(row.tokens).first(static_cast<size_t>(count));
  reader_->read_tokens(begin, tokens);
  check_ids(begin, tokens);
  row.num_valid_targets = count - 1;
  reader_->document_starts(begin, begin + count, row.document_starts);
}

void SourceLoader::check_ids(int64_t begin, std::span<const int32_t> tokens) const {
  // As unsigned, a negative id is a large one. The maximum first: it costs one pass without
  // branches.
  uint32_t largest = 0;
  for (const int32_t id : tokens) largest = std::max(largest, static_cast<uint32_t>(id));
  if (largest < static_cast<uint64_t>(vocab_size_)) return;
  const auto bad = std::find(tokens.begin(), tokens.end(), static_cast<int32_t>(largest));
  const TokenPlace place = reader_->find(begin + (bad - tokens.begin()));
  throw std::invalid_argument(
      fmt::format("{}: token {}: expected an id below the vocabulary's {}, found {}",
                  reader_->bin_path(place.shard), place.position, vocab_size_, *bad));
}

}  // namespace phalanx
