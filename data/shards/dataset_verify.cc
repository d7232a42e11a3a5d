#include "data/shards/dataset_verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <sstream>
#include <stdexcept>

#include "data/block_hash.h"
#include "data/file.h"

namespace phalanx {
namespace {

constexpr int64_t kMaxSidecarBytes = int64_t{16} << 20;

struct Scan {
  int64_t bytes = 0;
  uint64_t xxh3 = 0;
  std::vector<uint64_t> block_hashes;
  std::optional<int64_t> bad_token;  // the first position with an id outside the vocabulary
  int64_t bad_id = 0;
};

/// Reads files block by block: hashes, and token ids held against the vocabulary.
class Scanner {
 public:
  Scanner(TokenType type, int64_t vocab_size, const std::function<void(int64_t)>& progress)
      : type_(type),
        vocab_size_(vocab_size),
        progress_(progress),
        buffer_(static_cast<size_t>(kHashBlockBytes)) {}

  Scan scan(const std::filesystem::path& path, bool holds_tokens) {
    const File file = File::open_read(path);
    const int64_t size = file.size();
    BlockHasher hasher;
    Scan result;
    result.bytes = size;
    for (int64_t offset = 0; offset < size; offset += kHashBlockBytes) {
      const auto bytes =
          std::span(buffer_).first(static_cast<size_t>(std::min(kHashBlockBytes, size - offset)));
      file.read_exact(offset, bytes);
      hasher.update(bytes);
      if (holds_tokens) check_ids(bytes, offset, result);
      bytes_read_ += static_cast<int64_t>(bytes.size());
      if (progress_) progress_(bytes_read_);
    }
    result.xxh3 = hasher.digest();
    result.block_hashes = hasher.block_hashes();
    return result;
  }

 private:
  void check_ids(std::span<const std::byte> bytes, int64_t offset, Scan& result) const {
    const auto width = static_cast<size_t>(token_bytes(type_));
    for (size_t i = 0; i + width <= bytes.size() && !result.bad_token; i += width) {
      uint32_t id = 0;
      std::memcpy(&id, bytes.data() + i, width);
      if (id < vocab_size_) continue;
      result.bad_token = (offset + static_cast<int64_t>(i)) / static_cast<int64_t>(width);
      result.bad_id = type_ == TokenType::kInt32 ? static_cast<int32_t>(id) : id;
    }
  }

  TokenType type_;
  int64_t vocab_size_;
  const std::function<void(int64_t)>& progress_;
  std::vector<std::byte> buffer_;
  int64_t bytes_read_ = 0;
};

std::string damaged_block(const std::filesystem::path& sidecar, const Scan& scan) {
  std::error_code error;
  if (!std::filesystem::exists(sidecar, error)) return "";
  std::istringstream lines(read_text(sidecar, kMaxSidecarBytes));
  std::string line;
  for (size_t block = 0; block < scan.block_hashes.size() && std::getline(lines, line); ++block) {
    if (line == hash_text(scan.block_hashes[block])) continue;
    return fmt::format("; the first damaged block is bytes {} to {}",
                       static_cast<int64_t>(block) * kHashBlockBytes,
                       std::min(static_cast<int64_t>(block + 1) * kHashBlockBytes, scan.bytes) - 1);
  }
  return "";
}

void verify_shard(const DatasetReader& reader, size_t shard, Scanner& scanner,
                  std::vector<std::string>& problems) {
  const ShardEntry& entry = reader.manifest().shards[shard];
  const std::filesystem::path prefix = reader.folder() / entry.file;
  const Scan idx = scanner.scan(prefix.string() + ".idx", false);
  const Scan bin = scanner.scan(prefix.string() + ".bin", true);
  const auto compare = [&](const char* suffix, uint64_t expected, const Scan& found) {
    if (expected == found.xxh3) return;
    const std::string place =
        suffix == std::string_view(".bin") ? damaged_block(prefix.string() + ".xxh3", found) : "";
    problems.push_back(fmt::format("{}{}: XXH3: expected {}, found {}{}", prefix.string(), suffix,
                                   hash_text(expected), hash_text(found.xxh3), place));
  };
  compare(".idx", entry.idx_xxh3, idx);
  compare(".bin", entry.bin_xxh3, bin);
  if (entry.origins_xxh3) {
    compare(".origins", *entry.origins_xxh3, scanner.scan(prefix.string() + ".origins", false));
  }
  if (bin.bad_token) {
    problems.push_back(
        fmt::format("{}.bin: token {}: expected an id below the vocabulary's {}, found {}",
                    prefix.string(), *bin.bad_token, reader.manifest().vocab_size, bin.bad_id));
  }
  reader.check_shards(shard, reader.manifest().shards.size());
  reader.shard(shard)->check_index();
}

}  // namespace

std::vector<std::string> verify_dataset(const DatasetReader& reader,
                                        const std::function<void(int64_t bytes)>& progress) {
  std::vector<std::string> problems;
  const DatasetManifest& manifest = reader.manifest();
  Scanner scanner(manifest.token_type, manifest.vocab_size, progress);
  for (size_t shard = 0; shard < manifest.shards.size(); ++shard) {
    try {
      verify_shard(reader, shard, scanner, problems);
    } catch (const std::invalid_argument& error) {
      problems.emplace_back(error.what());
    }
  }
  return problems;
}

}  // namespace phalanx
