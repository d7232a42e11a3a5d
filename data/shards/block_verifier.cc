#include "data/shards/block_verifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <string>

namespace phalanx {
namespace {

constexpr int64_t kPieceBytes = int64_t{1} << 20;
constexpr int64_t kLineBytes = 17;  // 16 digits and the line's end
constexpr int64_t kMaxSidecarBytes = int64_t{64} << 20;

BlockHasher hash_range(const File& file, int64_t begin, int64_t end) {
  BlockHasher hasher;
  std::vector<std::byte> piece(static_cast<size_t>(std::min(kPieceBytes, end - begin)));
  while (begin < end) {
    const auto bytes =
        std::span(piece).first(static_cast<size_t>(std::min(kPieceBytes, end - begin)));
    file.read_exact(begin, bytes);
    hasher.update(bytes);
    begin += static_cast<int64_t>(bytes.size());
  }
  return hasher;
}

}  // namespace

std::vector<uint64_t> read_block_hashes(const std::filesystem::path& prefix, int64_t bin_bytes) {
  const std::string path = prefix.string() + ".xxh3";
  const std::string text = read_text(path, kMaxSidecarBytes);
  const int64_t num_blocks = (bin_bytes + kHashBlockBytes - 1) / kHashBlockBytes;
  if (static_cast<int64_t>(text.size()) != num_blocks * kLineBytes) {
    throw std::invalid_argument(
        fmt::format("{}: size: expected {} bytes, a line for each 16 MiB of the {} bytes of .bin, "
                    "found {} bytes",
                    path, num_blocks * kLineBytes, bin_bytes, text.size()));
  }
  std::vector<uint64_t> hashes(static_cast<size_t>(num_blocks));
  for (size_t i = 0; i < hashes.size(); ++i) {
    const char* begin = text.data() + i * kLineBytes;
    const char* end = begin + kLineBytes - 1;
    const auto [stop, error] = std::from_chars(begin, end, hashes[i], 16);
    if (error != std::errc() || stop != end || *end != '\n') {
      throw std::invalid_argument(
          fmt::format("{}: line {}: expected 16 hexadecimal digits, found \"{}\"", path, i + 1,
                      std::string(begin, end)));
    }
  }
  return hashes;
}

BlockVerifier::BlockVerifier(const std::filesystem::path& prefix, int64_t bin_bytes)
    : bin_bytes_(bin_bytes),
      hashes_(read_block_hashes(prefix, bin_bytes)),
      verified_(hashes_.size(), false) {}

void BlockVerifier::verify(const File& bin, int64_t begin, int64_t end) {
  const std::lock_guard lock(mutex_);
  for (int64_t block = begin / kHashBlockBytes; block * kHashBlockBytes < end; ++block) {
    if (verified_[static_cast<size_t>(block)]) continue;
    verify_block(bin, block);
    verified_[static_cast<size_t>(block)] = true;
  }
}

void BlockVerifier::verify_block(const File& bin, int64_t block) const {
  const int64_t begin = block * kHashBlockBytes;
  const int64_t end = std::min(begin + kHashBlockBytes, bin_bytes_);
  const uint64_t found = hash_range(bin, begin, end).digest();
  const uint64_t expected = hashes_[static_cast<size_t>(block)];
  if (found == expected) return;
  throw std::invalid_argument(fmt::format(
      "{}: block {}, bytes {} to {}: XXH3: expected {} as its .xxh3 says, found {}: one of the two "
      "files is damaged; `phalanx data inspect {} --verify` says which",
      bin.path().string(), block, begin, end - 1, hash_text(expected), hash_text(found),
      bin.path().parent_path().string()));
}

uint64_t hash_file(const std::filesystem::path& path, int64_t max_bytes) {
  const File file = File::open_read(path);
  return hash_range(file, 0, std::min(max_bytes, file.size())).digest();
}

}  // namespace phalanx
