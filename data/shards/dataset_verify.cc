#include "data/shards/dataset_verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "data/block_hash.h"
#include "data/file.h"
#include "data/shards/bins_file.h"
#include "data/shards/block_verifier.h"
#include "data/shards/shard_scan.h"

namespace phalanx {
namespace {

std::string damaged_block(const std::filesystem::path& prefix, const FileScan& scan) {
  std::error_code error;
  if (!std::filesystem::exists(prefix.string() + ".xxh3", error)) return "";
  const std::vector<uint64_t> expected = read_block_hashes(prefix, scan.bytes);
  for (size_t block = 0; block < expected.size(); ++block) {
    if (expected[block] == scan.block_hashes[block]) continue;
    return fmt::format("; the first damaged block is bytes {} to {}",
                       static_cast<int64_t>(block) * kHashBlockBytes,
                       std::min(static_cast<int64_t>(block + 1) * kHashBlockBytes, scan.bytes) - 1);
  }
  return "";
}

/// Hash, every bin, and that each token but its document's first is the target of one piece.
void verify_bins(const DatasetReader& reader, size_t shard, const BinsEntry& entry,
                 ShardScanner& scanner, std::vector<std::string>& problems) {
  const ShardEntry& shard_entry = reader.manifest().shards[shard];
  const std::filesystem::path prefix = reader.folder() / shard_entry.file;
  const BinsFile bins(prefix, entry.sequence_length, shard_entry);
  const auto compare = [&](const char* what, const std::string& expected,
                           const std::string& found) {
    if (expected == found) return;
    problems.push_back(
        fmt::format("{}: {}: expected {}, found {}", bins.path().string(), what, expected, found));
  };
  compare("XXH3", hash_text(entry.xxh3), hash_text(scanner.scan_file(bins.path()).xxh3));
  compare("bins", fmt::format("{}", entry.num_bins), fmt::format("{}", bins.num_bins()));
  std::vector<int64_t> starts, numbers;
  reader.shard(shard)->append_documents(0, shard_entry.num_tokens, 0, 0, starts, numbers);
  int64_t targets = 0;
  std::vector<BinPiece> pieces;
  for (int64_t bin = 0; bin < bins.num_bins(); ++bin) {
    bins.read(bin, pieces);
    for (const BinPiece& piece : pieces) targets += piece.length - 1;
  }
  compare("targets", fmt::format("{}", shard_entry.num_tokens - std::ssize(starts)),
          fmt::format("{}", targets));
}

void verify_shard(const DatasetReader& reader, size_t shard, ShardScanner& scanner,
                  std::vector<std::string>& problems) {
  const ShardEntry& entry = reader.manifest().shards[shard];
  const std::filesystem::path prefix = reader.folder() / entry.file;
  const FileScan idx = scanner.scan_file(prefix.string() + ".idx");
  const FileScan bin = scanner.scan_tokens(prefix.string() + ".bin");
  const auto compare = [&](const char* suffix, uint64_t expected, const FileScan& found) {
    if (expected == found.xxh3) return;
    const std::string place =
        suffix == std::string_view(".bin") ? damaged_block(prefix, found) : "";
    problems.push_back(fmt::format("{}{}: XXH3: expected {}, found {}{}", prefix.string(), suffix,
                                   hash_text(expected), hash_text(found.xxh3), place));
  };
  compare(".idx", entry.idx_xxh3, idx);
  compare(".bin", entry.bin_xxh3, bin);
  if (entry.origins_xxh3) {
    compare(".origins", *entry.origins_xxh3, scanner.scan_file(prefix.string() + ".origins"));
  }
  if (bin.bad_token) {
    problems.push_back(
        fmt::format("{}.bin: token {}: expected an id below the vocabulary's {}, found {}",
                    prefix.string(), *bin.bad_token, reader.manifest().vocab_size, bin.bad_id));
  }
  reader.check_shards(shard, reader.manifest().shards.size());
  reader.shard(shard)->check_index();
  for (const BinsEntry& bins : entry.bins) verify_bins(reader, shard, bins, scanner, problems);
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
