#pragma once
// Opens one checkpoint and gives its tensors to ranks of any number.
//
// Local; one owner. Each rank opens its own reader and reads only the blocks it needs; a step that
// may fail on one rank alone belongs inside together() (parallel/agreement.h).
// Errors: std::invalid_argument "checkpoint PATH: ..." when a file is damaged or missing, or when
// the checkpoint is not one of this model; std::system_error when the machine fails.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "model/phi4_config.h"
#include "parallel/parameters.h"
#include "trainer/adamw.h"
#include "trainer/checkpoint/manifest.h"
#include "trainer/checkpoint/share_pieces.h"
#include "trainer/checkpoint/tensor_source.h"
#include "trainer/checkpoint/verified_files.h"

namespace phalanx {

class CheckpointReader {
 public:
  /// Reads and checks the manifest, and the sizes of all files it lists.
  explicit CheckpointReader(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const Manifest& manifest() const { return manifest_; }
  /// Of the run that saved. Imported weights have none: an error that says so.
  [[nodiscard]] std::string state_json() { return read_of_run("state.json"); }
  [[nodiscard]] std::string config_yaml() { return read_of_run("config.yaml"); }
  /// A file that the manifest lists.
  [[nodiscard]] std::string read_listed(const std::string& file) { return files_.read_whole(file); }

  /// One kind of tensor, under the logical names. Refers to the reader.
  [[nodiscard]] std::unique_ptr<TensorSource> source(const ShareKind& kind);

  /// How a kind of tensor is stored: all of one kind are alike.
  [[nodiscard]] Dtype stored_dtype(const ShareKind& kind);

  /// Reads and hashes part `part` of `num_parts` of all blocks.
  void verify(int64_t part = 0, int64_t num_parts = 1);

 private:
  std::string read_of_run(const std::string& file);

  std::filesystem::path path_;
  std::string where_;
  Manifest manifest_;
  VerifiedFiles files_;
};

/// Fills masters and moments of this rank's shares, to the bit what was saved, but for fp32 that
/// becomes bf16, which is rounded to nearest; without `moments` these stay as they are. Imported
/// weights have none to fill.
void load_checkpoint(CheckpointReader& reader, const Phi4Config& model,
                     const ParameterSet& parameters, std::vector<BucketShare>& shares,
                     bool moments = true);

}  // namespace phalanx
