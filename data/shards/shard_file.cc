#include "data/shards/shard_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <string>

namespace phalanx {
namespace {

constexpr int64_t kChunkEntries = 8192;

std::filesystem::path with_suffix(const std::filesystem::path& prefix, const char* suffix) {
  return prefix.string() + suffix;
}

std::string type_text(uint8_t code) {
  constexpr std::array<const char*, 9> kNames = {"?",     "uint8",   "int8",    "int16", "int32",
                                                 "int64", "float64", "float32", "uint16"};
  return fmt::format("{} ({})", code, code < kNames.size() ? kNames[code] : "?");
}

void widen(std::span<const uint16_t> from, std::span<int32_t> to) {
  std::copy(from.begin(), from.end(), to.begin());
}

}  // namespace

ShardFile::ShardFile(const std::filesystem::path& prefix)
    : ShardFile(with_suffix(prefix, ".bin"), with_suffix(prefix, ".idx")) {}

ShardFile::ShardFile(const std::filesystem::path& bin, const std::filesystem::path& idx)
    : bin_(File::open_read(bin)), idx_(File::open_read(idx)) {
  read_header();
  check_ends(bin_.size());
  make_samples();
}

ShardFile::ShardFile(const std::filesystem::path& head, const std::filesystem::path& idx,
                     int64_t bin_bytes)
    : bin_(File::open_read(head)), idx_(File::open_read(idx)) {
  read_header();
  check_ends(bin_bytes);
  make_samples();
}

void ShardFile::refuse(const File& file, std::string_view place, std::string_view expected,
                       std::string_view found) const {
  throw std::invalid_argument(
      fmt::format("{}: {}: expected {}, found {}", file.path().string(), place, expected, found));
}

void ShardFile::read_header() {
  const int64_t size = idx_.size();
  if (size < kIndexHeaderBytes) {
    refuse(idx_, "size", fmt::format("at least {} bytes", kIndexHeaderBytes),
           fmt::format("{} bytes", size));
  }
  std::array<char, kIndexMagic.size()> magic;
  read_values<char>(idx_, 0, magic);
  if (magic != kIndexMagic) refuse(idx_, "first 9 bytes", "MMIDIDX\\0\\0", "something else");
  const auto version = read_value<uint64_t>(idx_, 9);
  if (version != kIndexVersion) refuse(idx_, "version", "1", fmt::format("{}", version));
  const auto code = read_value<uint8_t>(idx_, 17);
  type_ = static_cast<TokenType>(code);
  if (type_ != TokenType::kInt32 && type_ != TokenType::kUint16) {
    refuse(idx_, "dtype",
           "4 (int32) or 8 (uint16); Megatron's IndexedDatasetBuilder(dtype=numpy.int32) can write "
           "the corpus again as one of them",
           type_text(code));
  }
  const auto sequences = read_value<uint64_t>(idx_, 18);
  const auto boundaries = read_value<uint64_t>(idx_, 26);
  // Each count alone is held against the file first, so that the sum below cannot overflow.
  const auto room = static_cast<uint64_t>(size - kIndexHeaderBytes);
  if (sequences > room / 12) {
    refuse(idx_, "sequence count", fmt::format("at most {} in {} bytes", room / 12, size),
           fmt::format("{}", sequences));
  }
  if (boundaries > room / 8 || boundaries == 0) {
    refuse(idx_, "document count", fmt::format("1 to {} in {} bytes", room / 8, size),
           fmt::format("{}", boundaries));
  }
  layout_ = {static_cast<int64_t>(sequences), static_cast<int64_t>(boundaries)};
  if (size != layout_.total_bytes()) {
    refuse(idx_, "size",
           fmt::format("{} bytes for {} sequences and {} document boundaries",
                       layout_.total_bytes(), sequences, boundaries),
           fmt::format("{} bytes", size));
  }
}

void ShardFile::check_ends(int64_t bin_bytes) {
  int64_t expected = 0;
  if (layout_.num_sequences > 0) {
    const int64_t last = layout_.num_sequences - 1;
    const auto first_pointer = read_value<int64_t>(idx_, layout_.pointer_at(0));
    if (first_pointer != 0) refuse(idx_, "pointer 0", "0", fmt::format("{}", first_pointer));
    const auto length = read_value<int32_t>(idx_, layout_.length_at(last));
    if (length < 0) {
      refuse(idx_, fmt::format("length {}", last), "0 or more", fmt::format("{}", length));
    }
    const auto pointer = read_value<int64_t>(idx_, layout_.pointer_at(last));
    const int64_t last_bytes = length * token_bytes(type_);
    if (pointer < 0 || pointer > INT64_MAX - last_bytes || pointer % token_bytes(type_) != 0) {
      refuse(idx_, fmt::format("pointer {}", last),
             fmt::format("a multiple of {} from 0 on", token_bytes(type_)),
             fmt::format("{}", pointer));
    }
    expected = pointer + last_bytes;
  }
  if (bin_bytes != expected) {
    refuse(bin_, "size", fmt::format("{} bytes as its .idx says", expected),
           fmt::format("{} bytes", bin_bytes));
  }
  num_tokens_ = bin_bytes / token_bytes(type_);
  const auto first = read_value<int64_t>(idx_, layout_.boundary_at(0));
  if (first != 0) refuse(idx_, "document boundary 0", "0", fmt::format("{}", first));
  const int64_t last_document = num_documents();
  const auto last = read_value<int64_t>(idx_, layout_.boundary_at(last_document));
  if (last != layout_.num_sequences) {
    refuse(idx_, fmt::format("document boundary {}", last_document),
           fmt::format("{}, the number of sequences", layout_.num_sequences),
           fmt::format("{}", last));
  }
}

void ShardFile::read_tokens(int64_t begin, std::span<int32_t> tokens) const {
  const auto count = static_cast<int64_t>(tokens.size());
  if (begin < 0 || count > num_tokens_ || begin > num_tokens_ - count) {
    throw std::logic_error(fmt::format("{}: read of tokens [{}, {} + {}) of {}",
                                       bin_path().string(), begin, begin, count, num_tokens_));
  }
  if (type_ == TokenType::kInt32) {
    read_values(bin_, begin * 4, tokens);
    return;
  }
  std::array<uint16_t, kChunkEntries> chunk;
  while (!tokens.empty()) {
    const size_t n = std::min(tokens.size(), chunk.size());
    read_values(bin_, begin * 2, std::span(chunk).first(n));
    widen(std::span(chunk).first(n), tokens);
    tokens = tokens.subspan(n);
    begin += static_cast<int64_t>(n);
  }
}

void ShardFile::check_index() const {
  check_sequences();
  check_boundaries();
}

void ShardFile::check_sequences() const {
  std::vector<int32_t> lengths(kChunkEntries);
  std::vector<int64_t> pointers(kChunkEntries);
  int64_t expected = 0;
  for (int64_t begin = 0; begin < layout_.num_sequences; begin += kChunkEntries) {
    const int64_t n = std::min(kChunkEntries, layout_.num_sequences - begin);
    read_values(idx_, layout_.length_at(begin), std::span(lengths).first(n));
    read_values(idx_, layout_.pointer_at(begin), std::span(pointers).first(n));
    for (int64_t i = 0; i < n; ++i) {
      if (lengths[i] < 0) {
        refuse(idx_, fmt::format("length {}", begin + i), "0 or more",
               fmt::format("{}", lengths[i]));
      }
      if (pointers[i] != expected) {
        refuse(idx_, fmt::format("pointer {}", begin + i), fmt::format("{}", expected),
               fmt::format("{}", pointers[i]));
      }
      expected += lengths[i] * token_bytes(type_);
    }
  }
  if (expected != num_tokens_ * token_bytes(type_)) {
    refuse(bin_, "size", fmt::format("{} bytes, the sum of the lengths", expected),
           fmt::format("{} bytes", num_tokens_ * token_bytes(type_)));
  }
}

void ShardFile::check_boundaries() const {
  std::vector<int64_t> boundaries(kChunkEntries);
  int64_t previous = 0;
  for (int64_t begin = 0; begin < layout_.num_boundaries; begin += kChunkEntries) {
    const int64_t n = std::min(kChunkEntries, layout_.num_boundaries - begin);
    read_values(idx_, layout_.boundary_at(begin), std::span(boundaries).first(n));
    for (int64_t i = 0; i < n; ++i) {
      if (boundaries[i] < previous || boundaries[i] > layout_.num_sequences) {
        refuse(idx_, fmt::format("document boundary {}", begin + i),
               fmt::format("{} to {}", previous, layout_.num_sequences),
               fmt::format("{}", boundaries[i]));
      }
      previous = boundaries[i];
    }
  }
}

}  // namespace phalanx
