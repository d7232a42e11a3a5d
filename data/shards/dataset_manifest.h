#pragma once
// dataset.json: what a folder of shards holds and where it came from. FORMAT.md lists the fields.
//
// Local, pure but for load and save. Values; no threads. Counts are tokens, documents, bytes.
// Errors: std::invalid_argument with file, field, expected and found; a count that would overflow,
// a total that is not the sum of its shards and an unknown format version are refused.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/shards/token_type.h"

namespace phalanx {

inline constexpr int64_t kManifestVersion = 1;
inline constexpr std::string_view kManifestName = "dataset.json";
inline constexpr int64_t kMaxManifestBytes = int64_t{64} << 20;
inline constexpr int64_t kHeadBytes = int64_t{1} << 20;

enum class DatasetKind { kOrganic, kSynthetic };
std::string_view dataset_kind_name(DatasetKind kind);
/// Throws std::invalid_argument for anything but "organic" and "synthetic".
DatasetKind parse_dataset_kind(std::string_view text);

/// Rows of whole documents made for one length, in FILE.bins-LENGTH (SEMANTICS.md, section 10).
struct BinsEntry {
  int64_t sequence_length = 0;
  int64_t num_bins = 0;
  uint64_t xxh3 = 0;  // of the sidecar
  int64_t bytes = 0;  // likewise; 0: not recorded
};

struct ShardEntry {
  std::string file;  // without .bin and .idx; a plain name inside the folder
  int64_t num_tokens = 0;
  int64_t num_documents = 0;
  int64_t bin_bytes = 0;
  uint64_t bin_xxh3 = 0, idx_xxh3 = 0;
  int64_t idx_bytes = 0;                                // 0: not recorded
  std::optional<uint64_t> origins_xxh3 = std::nullopt;  // of FILE.origins, if there is one
  std::vector<BinsEntry> bins = {};                     // rising sequence_length
  std::optional<uint64_t> head_xxh3 = std::nullopt;     // of head_bytes() of .bin; not recorded

  /// The first bytes of .bin, in which a row ends that begins in the shard before.
  int64_t head_bytes() const { return std::min(bin_bytes, kHeadBytes); }
};

/// The input files that one pattern of packing matched.
struct InputEntry {
  std::string pattern;
  int64_t num_files = 0;
  int64_t bytes = 0;
  int64_t num_documents = 0;
};

/// How the documents got here. Each one read is in this part, in the other part, or rejected.
struct PackingRecord {
  std::string part;  // "train" or "validation"; "adopted": made elsewhere
  uint64_t seed = 0;
  int64_t validation_per_mille = 0;
  int64_t documents_read = 0;
  int64_t documents_in_other_part = 0;
  int64_t rejected_empty = 0;
  std::vector<InputEntry> inputs;
  int64_t rejected_bad = 0;  // lines that held no document
  bool shuffled = true;      // false: in the order of the input, which a run warns of
  std::optional<uint64_t> inputs_xxh3 = std::nullopt;  // of inputs.txt, if there is one
};

struct DatasetManifest {
  std::string name;
  DatasetKind kind = DatasetKind::kOrganic;
  std::string licence;
  std::string tokenizer;  // fingerprint of the tokenizer that made the ids
  int64_t vocab_size = 0;
  int32_t end_of_document = 0;
  TokenType token_type = TokenType::kUint16;
  int64_t text_bytes = 0;  // of the documents' text, for statistics
  PackingRecord packing;
  std::vector<ShardEntry> shards;

  int64_t num_tokens() const;
  int64_t num_documents() const;

  /// Changes exactly when the tokens or their order can: tokenizer, vocabulary, dtype and the
  /// shards' counts and hashes, not names, licence or provenance. 16 hexadecimal digits.
  std::string order_fingerprint() const;
};

/// `where` is the path used in messages.
[[nodiscard]] DatasetManifest parse_manifest(std::string_view json, const std::string& where);
[[nodiscard]] std::string manifest_json(const DatasetManifest& manifest);

/// One entry of the manifest's shards, for those who write a data set piece by piece.
[[nodiscard]] ShardEntry parse_shard_entry(std::string_view json, const std::string& where,
                                           TokenType type);
[[nodiscard]] std::string shard_entry_json(const ShardEntry& shard);

/// `folder`/dataset.json.
[[nodiscard]] DatasetManifest load_manifest(const std::filesystem::path& folder);

}  // namespace phalanx
