#include "data/shards/dataset_verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>

#include "data/block_hash.h"
#include "data/file.h"
#include "data/shards/shard_scan.h"

namespace phalanx {
namespace {

constexpr int64_t kMaxSidecarBytes = int64_t{16} << 20;

std::string damaged_block(const std::filesystem::path& sidecar, const FileScan& scan) {
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

void verify_shard(const DatasetReader& reader, size_t shard, ShardScanner& scanner,
                  std::vector<std::string>& problems) {
  const ShardEntry& entry = reader.manifest().shards[shard];
  const std::filesystem::path prefix = reader.folder() / entry.file;
  const FileScan idx = scanner.scan_index(prefix.string() + ".idx");
  const FileScan bin = scanner.scan_tokens(prefix.string() + ".bin");
  const auto compare = [&](const char* suffix, uint64_t expected, const FileScan& found) {
    if (expected == found.xxh3) return;
    const std::string place =
        suffix == std::string_view(".bin") ? damaged_block(prefix.string() + ".xxh3", found) : "";
    problems.push_back(fmt::format("{}{}: XXH3: expected {}, found {}{}", prefix.string(), suffix,
                                   hash_text(expected), hash_text(found.xxh3), place));
  };
  compare(".idx", entry.idx_xxh3, idx);
  compare(".bin", entry.bin_xxh3, bin);
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
  ShardScanner scanner(manifest.token_type, manifest.vocab_size, progress);
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
