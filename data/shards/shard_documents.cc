#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "data/shards/shard_file.h"

// Which documents hold a range of tokens: a search over the boundaries in .idx.

namespace phalanx {
namespace {

constexpr int64_t kPageDocuments = 64;  // whose boundaries a lookup reads at once
constexpr int64_t kMaxSamples = 8192;

constexpr int width_shift(TokenType type) { return type == TokenType::kUint16 ? 1 : 2; }

}  // namespace

void ShardFile::make_samples() {
  sample_stride_ = std::max(kPageDocuments, num_documents() / kMaxSamples + 1);
  samples_ =
      std::vector<std::atomic<int64_t>>(static_cast<size_t>(num_documents() / sample_stride_ + 1));
  for (std::atomic<int64_t>& sample : samples_) sample.store(-1, std::memory_order_relaxed);
}

int64_t ShardFile::token_of_pointer(int64_t sequence, int64_t pointer) const {
  const int64_t width = token_bytes(type_);
  const int64_t token = pointer >> width_shift(type_);
  if (pointer < 0 || (pointer & (width - 1)) != 0 || token > num_tokens_) {
    refuse(idx_, fmt::format("pointer {}", sequence),
           fmt::format("a multiple of {} up to {}", width, num_tokens_ * width),
           fmt::format("{}", pointer));
  }
  return token;
}

int64_t ShardFile::token_of_boundary(int64_t document, int64_t boundary) const {
  if (boundary < 0 || boundary > layout_.num_sequences) {
    refuse(idx_, fmt::format("document boundary {}", document),
           fmt::format("0 to {}", layout_.num_sequences), fmt::format("{}", boundary));
  }
  if (boundary == layout_.num_sequences) return num_tokens_;
  return token_of_pointer(boundary, read_value<int64_t>(idx_, layout_.pointer_at(boundary)));
}

int64_t ShardFile::document_start(int64_t document) const {
  if (document < 0 || document > num_documents()) {
    throw std::logic_error(
        fmt::format("{}: document {} of {}", idx_path().string(), document, num_documents()));
  }
  return token_of_boundary(document, read_value<int64_t>(idx_, layout_.boundary_at(document)));
}

void ShardFile::document_starts(int64_t first, std::span<int64_t> starts) const {
  const auto count = static_cast<int64_t>(starts.size());
  if (first < 0 || count > num_documents() + 1 || first > num_documents() + 1 - count) {
    throw std::logic_error(fmt::format("{}: documents [{}, {} + {}) of {}", idx_path().string(),
                                       first, first, count, num_documents()));
  }
  int64_t previous = 0;
  while (!starts.empty()) {
    const auto page = starts.first(std::min<size_t>(starts.size(), kPageDocuments));
    read_page(first, page);
    check_rise(first, previous, page.front());
    previous = page.back();
    starts = starts.subspan(page.size());
    first += static_cast<int64_t>(page.size());
  }
}

void ShardFile::check_rise(int64_t document, int64_t previous, int64_t start) const {
  if (start >= previous) return;
  refuse(idx_, fmt::format("document {}", document),
         fmt::format("a start from token {} on", previous), fmt::format("{}", start));
}

// At most kPageDocuments entries, with two reads if their sequences lie together.
void ShardFile::read_page(int64_t first, std::span<int64_t> starts) const {
  read_values(idx_, layout_.boundary_at(first), starts);  // boundaries so far
  int64_t previous = 0;
  for (size_t i = 0; i < starts.size(); ++i) {
    if (starts[i] < previous || starts[i] > layout_.num_sequences) {
      refuse(idx_, fmt::format("document boundary {}", first + static_cast<int64_t>(i)),
             fmt::format("{} to {}", previous, layout_.num_sequences),
             fmt::format("{}", starts[i]));
    }
    previous = starts[i];
  }
  read_pointers(first, starts);
  for (size_t i = 1; i < starts.size(); ++i) {
    check_rise(first + static_cast<int64_t>(i), starts[i - 1], starts[i]);
  }
}

// Turns boundaries, which rise, into tokens.
void ShardFile::read_pointers(int64_t first, std::span<int64_t> boundaries) const {
  std::array<int64_t, 2 * kPageDocuments> pointers;
  const int64_t low = boundaries.front();
  const int64_t high = std::min(boundaries.back() + 1, layout_.num_sequences);
  const bool together = high - low <= static_cast<int64_t>(pointers.size());
  if (together && high > low) {
    read_values(idx_, layout_.pointer_at(low),
                std::span(pointers).first(static_cast<size_t>(high - low)));
  }
  for (size_t i = 0; i < boundaries.size(); ++i) {
    int64_t& entry = boundaries[i];
    if (!together || entry == layout_.num_sequences) {
      entry = token_of_boundary(first + static_cast<int64_t>(i), entry);
    } else {
      entry = token_of_pointer(entry, pointers[static_cast<size_t>(entry - low)]);
    }
  }
}

int64_t ShardFile::sampled_start(int64_t sample) const {
  std::atomic<int64_t>& start = samples_[static_cast<size_t>(sample)];
  if (start.load(std::memory_order_relaxed) < 0) {
    start.store(document_start(sample * sample_stride_), std::memory_order_relaxed);
  }
  return start.load(std::memory_order_relaxed);
}

// A document that begins at or before `token`, at most a page before the one that holds it.
int64_t ShardFile::page_with(int64_t token) const {
  int64_t low = 0, high = static_cast<int64_t>(samples_.size());
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (sampled_start(middle) <= token ? low : high) = middle;
  }
  low *= sample_stride_;
  high = std::min(low + sample_stride_, num_documents());
  while (high - low > kPageDocuments) {
    const int64_t middle = low + (high - low) / 2;
    (document_start(middle) <= token ? low : high) = middle;
  }
  return low;
}

void ShardFile::append_documents(int64_t begin, int64_t end, int64_t token_shift,
                                 int64_t document_shift, std::vector<int64_t>& starts,
                                 std::vector<int64_t>& numbers) const {
  end = std::min(end, num_tokens_);
  if (begin >= end) return;
  std::array<int64_t, kPageDocuments> buffer;
  int64_t number = page_with(begin), start = 0;  // the last document met
  const auto append = [&] {
    numbers.push_back(document_shift + number);
    if (start >= begin) starts.push_back(token_shift + start);
  };
  for (int64_t document = number; document < num_documents();) {
    const auto page = std::span(buffer).first(
        static_cast<size_t>(std::min(kPageDocuments, num_documents() - document)));
    read_page(document, page);
    check_rise(document, start, page.front());
    size_t i = 0;
    if (page.front() <= begin) {
      i = static_cast<size_t>(std::upper_bound(page.begin(), page.end(), begin) - page.begin()) - 1;
    }
    for (; i < page.size(); ++i) {
      if (page[i] >= end) return append();
      // Documents without tokens begin where the next one does, which holds the token.
      if (page[i] > begin && page[i] > start) append();
      start = page[i];
      number = document + static_cast<int64_t>(i);
    }
    document += static_cast<int64_t>(page.size());
  }
  append();
}

}  // namespace phalanx
