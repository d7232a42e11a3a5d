#include "data/shards/dataset_verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "data/block_hash.h"
#include "data/file.h"
#include "data/shards/bins_file.h"
#include "data/shards/block_verifier.h"
#include "data/shards/origins.h"
#include "data/shards/shard_scan.h"

namespace phalanx {
namespace {

/// Compares the .bin with its sidecar of hashes. Where the .bin is not what was packed: its first
/// damaged block, for a message. Where it is, the sidecar is what is damaged: a problem of its own.
std::string compare_blocks(const DatasetReader& reader, const ShardEntry& entry,
                           const FileScan& bin, std::vector<std::string>& problems) {
  const auto folder = reader.source().folder();
  if (!folder) return "";  // every file of a store was compared whole as it came
  const std::filesystem::path prefix = *folder / entry.file;
  const std::string sidecar = prefix.string() + ".xxh3";
  std::error_code error;
  if (!std::filesystem::exists(sidecar, error)) {
    if (reader.manifest().packing.part == "adopted") return "";  // those have none
    problems.push_back(
        fmt::format("{}: expected the hashes of {}.bin, found no such file", sidecar, entry.file));
    return "";
  }
  std::vector<uint64_t> hashes;
  try {
    hashes = read_block_hashes(prefix, entry.bin_bytes);
  } catch (const std::invalid_argument& damage) {
    problems.emplace_back(damage.what());
    return "";
  }
  const auto [hash, found] =
      std::mismatch(hashes.begin(), hashes.end(), bin.block_hashes.begin(), bin.block_hashes.end());
  if (hash == hashes.end()) return "";
  const int64_t block = hash - hashes.begin();
  const int64_t begin = block * kHashBlockBytes;
  const int64_t last = std::min(begin + kHashBlockBytes, entry.bin_bytes) - 1;
  if (bin.xxh3 != entry.bin_xxh3) {
    return fmt::format("; the first damaged block is bytes {} to {}", begin, last);
  }
  problems.push_back(
      fmt::format("{}: line {}: expected {}, the hash of bytes {} to {} of {}.bin, which is as {} "
                  "says, found {}",
                  sidecar, block + 1, hash_text(*found), begin, last, entry.file, kManifestName,
                  hash_text(*hash)));
  return "";
}

/// Hash, every bin, and that each token but its document's first is the target of one piece.
void verify_bins(const DatasetReader& reader, size_t shard, const BinsEntry& entry,
                 ShardScanner& scanner, std::vector<std::string>& problems) {
  const ShardEntry& shard_entry = reader.manifest().shards[shard];
  const DatasetFile file = reader.bins_file(shard, entry);
  const HeldFile held = reader.source().hold(file);
  const BinsFile bins(held.path, entry.sequence_length, shard_entry);
  const auto compare = [&](const char* what, const std::string& expected,
                           const std::string& found) {
    if (expected == found) return;
    problems.push_back(fmt::format("{}: {}: expected {}, found {}",
                                   reader.source().place_of(file.name), what, expected, found));
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
  const FileSource& source = reader.source();
  const std::string prefix = source.place_of(entry.file);
  const FileScan idx = scanner.scan_file(source.hold(reader.idx_file(shard)).path);
  const FileScan bin = scanner.scan_tokens(source.hold(reader.bin_file(shard)).path);
  const auto compare = [&](const char* suffix, uint64_t expected, const FileScan& found,
                           const std::string& place = "") {
    if (expected == found.xxh3) return;
    problems.push_back(fmt::format("{}{}: XXH3: expected {}, found {}{}", prefix, suffix,
                                   hash_text(expected), hash_text(found.xxh3), place));
  };
  compare(".idx", entry.idx_xxh3, idx);
  compare(".bin", entry.bin_xxh3, bin, compare_blocks(reader, entry, bin, problems));
  if (entry.origins_xxh3) {
    compare(".origins", *entry.origins_xxh3,
            scanner.scan_file(source.hold(reader.origins_file(shard)).path));
  }
  if (bin.bad_token) {
    problems.push_back(
        fmt::format("{}.bin: token {}: expected an id below the vocabulary's {}, found {}", prefix,
                    *bin.bad_token, reader.manifest().vocab_size, bin.bad_id));
  }
  reader.check_shards(shard, reader.manifest().shards.size());
  reader.shard(shard)->check_index();
  for (const BinsEntry& bins : entry.bins) verify_bins(reader, shard, bins, scanner, problems);
}

/// The list that .origins refers to.
void verify_inputs(const DatasetReader& reader, ShardScanner& scanner,
                   std::vector<std::string>& problems) {
  const std::optional<uint64_t>& expected = reader.manifest().packing.inputs_xxh3;
  const auto folder = reader.source().folder();
  if (!expected || !folder) return;  // that of a store is compared when it is read
  const std::filesystem::path path = *folder / kInputListName;
  const uint64_t found = scanner.scan_file(path).xxh3;
  if (found == *expected) return;
  problems.push_back(fmt::format("{}: XXH3: expected {}, found {}", path.string(),
                                 hash_text(*expected), hash_text(found)));
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
  verify_inputs(reader, scanner, problems);
  return problems;
}

}  // namespace phalanx
