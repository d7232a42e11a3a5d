#pragma once
// manifest.json of a checkpoint: what each file holds and how to tell that it is whole. The format
// is described in trainer/CHECKPOINT.md.
//
// Local; plain values. Every rank describes its own file as a Manifest of one file; the first rank
// merges them, so that what is written and what is read has one form.
// Errors: std::invalid_argument beginning with `where` for text that breaks a rule.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/file.h"
#include "model/phi4_config.h"
#include "parallel/shard_spec.h"
#include "trainer/checkpoint/safetensors.h"

namespace phalanx {

inline constexpr int64_t kCheckpointVersion = 1;

/// Elements [elements) of the slice [rectangle) of dimension `dim`, flattened in row-major order.
struct ManifestPiece {
  std::string file;
  int64_t dim = 0;
  Range rectangle;
  Range elements;
};

struct ManifestTensor {
  std::vector<int64_t> shape;  // full
  std::vector<ManifestPiece> pieces;
  std::optional<Dtype> source_dtype{};  // of what was imported; an export goes back to it
};

struct ManifestFile {
  int64_t bytes = 0;
  std::vector<uint64_t> block_hashes;  // XXH3-64 of each kHashBlockBytes
};

struct Manifest {
  int64_t step = 0;
  int64_t tokens = 0;
  int64_t tensor_parallel_size = 1;  // of the run that saved
  int64_t data_parallel_size = 1;
  bool weights_only = false;  // imported: masters alone, no state and no configuration of a run
  std::optional<int64_t> saved_at{};  // seconds since 1970 (UTC); not recorded by older versions
  Phi4Config model;
  std::map<std::string, ManifestFile> files;  // by name inside the checkpoint's folder
  std::map<std::string, ManifestTensor> tensors;
};

/// With a hash of itself, so that a damaged number in it is not believed.
[[nodiscard]] std::string manifest_text(const Manifest& manifest);
/// Checks the hash, version, types and names; not that the pieces cover the tensors.
[[nodiscard]] Manifest parse_checkpoint_manifest(std::string_view text, const std::string& where);

/// Adds the files and pieces of another rank's part.
void merge_part(Manifest& whole, Manifest part);

/// Every piece lies in a file that is listed, and every element of every tensor in exactly one
/// piece.
void check_coverage(const Manifest& manifest, const std::string& where);

}  // namespace phalanx
