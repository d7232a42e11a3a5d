#include "data/shards/document_lengths.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <stdexcept>

namespace phalanx {
namespace {

constexpr int64_t kBlockEntries = 8192;

/// Refills `block` with the entries from `first` on, of which the file holds `total`.
template <typename T>
void read_block(const File& file, int64_t offset, int64_t first, int64_t total,
                std::vector<T>& block) {
  block.resize(static_cast<size_t>(std::min(kBlockEntries, total - first)));
  file.read_exact(offset, std::as_writable_bytes(std::span(block)));
}

}  // namespace

DocumentLengths::DocumentLengths(const ShardFile& shard)
    : idx_(File::open_read(shard.idx_path())),
      layout_{shard.num_sequences(), shard.num_documents() + 1} {}

// Boundary 0 is sequence 0, so the end of document i is entry i + 1.
int64_t DocumentLengths::next_boundary() {
  if (boundary_at_ == boundaries_.size()) {
    const int64_t entry = document_ + 1;
    read_block(idx_, layout_.boundary_at(entry), entry, layout_.num_boundaries, boundaries_);
    boundary_at_ = 0;
  }
  const int64_t boundary = boundaries_[boundary_at_++];
  if (boundary < sequence_ || boundary > layout_.num_sequences) {
    throw std::invalid_argument(fmt::format("{}: document boundary {}: expected {} to {}, found {}",
                                            idx_.path().string(), document_ + 1, sequence_,
                                            layout_.num_sequences, boundary));
  }
  return boundary;
}

int64_t DocumentLengths::next_length() {
  if (length_at_ == lengths_.size()) {
    read_block(idx_, layout_.length_at(sequence_), sequence_, layout_.num_sequences, lengths_);
    length_at_ = 0;
  }
  const int32_t length = lengths_[length_at_++];
  if (length < 0) {
    throw std::invalid_argument(fmt::format("{}: length {}: expected 0 or more, found {}",
                                            idx_.path().string(), sequence_, length));
  }
  return length;
}

std::optional<int64_t> DocumentLengths::next() {
  if (document_ + 1 == layout_.num_boundaries) return std::nullopt;
  const int64_t end = next_boundary();
  int64_t tokens = 0;
  for (; sequence_ < end; ++sequence_) tokens += next_length();
  ++document_;
  return tokens;
}

}  // namespace phalanx
