#pragma once
// Saves a run so that it lasts: whatever fails or whenever the power goes, the checkpoint is there
// whole or not there at all, and the earlier ones stay as they were.
//
// Collective over `control`, a host communicator of all ranks: every rank, same arguments but for
// its own shares. Between the exchanges each rank only writes its own file. Shares may live on any
// device; they must not change until save_checkpoint returns.
// Errors: on all ranks the same AgreedError (parallel/agreement.h) with one message; what was
// written is removed, or left as a .tmp folder that clean_checkpoints() removes.
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/file.h"
#include "model/phi4_config.h"
#include "parallel/communicator.h"
#include "parallel/mesh.h"
#include "parallel/parameters.h"
#include "trainer/adamw.h"
#include "trainer/checkpoint/checkpoint_folder.h"
#include "trainer/checkpoint/manifest.h"

namespace phalanx {

struct CheckpointContents {
  const ParameterSet& parameters;
  const std::vector<BucketShare>& shares;
  const Phi4Config& model;
  int64_t step = 0;
  int64_t tokens = 0;
  std::string state_json;
  std::string config_yaml;
};

struct CheckpointPlace {
  std::filesystem::path folder;  // holds all checkpoints of the run
  Retention retention;
};

/// Writes, commits, reads back and verifies, then deletes what the retention leaves over. Returns
/// the path of the new checkpoint. One of the same step is replaced, in one step, and comes back if
/// the new one cannot be verified. Checkpoints of later steps belong to a branch that the run has
/// left: they are set aside as abandoned-N, where nothing finds or deletes them.
std::filesystem::path save_checkpoint(const CheckpointPlace& place,
                                      const CheckpointContents& contents, const Mesh& mesh,
                                      Communicator& control);

/// Writes this rank's file into `staging` and describes it. Local.
[[nodiscard]] Manifest write_rank_part(const std::filesystem::path& staging,
                                       const CheckpointContents& contents, const Mesh& mesh);

/// Writes the rest, the manifest last, and makes the checkpoint `path` of its staging folder. One
/// that was there is in the staging folder afterwards. Local: one rank, after all have written
/// their parts.
void commit_checkpoint(const std::filesystem::path& path, Manifest manifest,
                       const CheckpointContents& contents);

/// A finished file as the manifest lists it, and a text that is written as one. Local.
[[nodiscard]] ManifestFile described(WrittenFile written);
ManifestFile write_listed(const std::filesystem::path& path, std::string_view text);

}  // namespace phalanx
