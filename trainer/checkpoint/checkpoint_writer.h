#pragma once
// The local parts of a save, in their order: each rank writes and reads back its file, then one
// rank seals the checkpoint, gives it its name and deletes what is no longer kept. Who calls them
// when is checkpoint_saver.h.
//
// Local, no CUDA and no MPI: any thread may call them, one at a time for a staging folder.
// Errors: std::system_error with the path; std::invalid_argument when the parts do not make a
// whole.
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/bulk_file.h"
#include "data/file.h"
#include "model/phi4_config.h"
#include "parallel/mesh.h"
#include "parallel/parameters.h"
#include "trainer/adamw.h"
#include "trainer/checkpoint/checkpoint_folder.h"
#include "trainer/checkpoint/manifest.h"

namespace phalanx {

/// Shares lie in host memory, and neither they nor what else is referred to may change until the
/// save has ended.
struct CheckpointContents {
  const ParameterSet& parameters;
  const std::vector<BucketShare>& shares;
  const Phi4Config& model;
  int64_t step = 0;
  int64_t tokens = 0;
  std::string state_json;
  std::string config_yaml;
};

/// Whether a checkpoint is the first that a start of the run saves.
enum class SaveOrder { kFirst, kLater };

struct CheckpointPlace {
  std::filesystem::path folder;  // holds all checkpoints of the run
  Retention retention;
  SaveOrder order = SaveOrder::kLater;  // of the next one
};

/// Writes this rank's file into `staging`, which it makes if need be, reads it back from the disk
/// and describes it.
[[nodiscard]] Manifest write_rank_part(const std::filesystem::path& staging,
                                       const CheckpointContents& contents, const Mesh& mesh);

/// Writes the rest into the staging folder of `path`, the manifest last, each read back. One rank,
/// after all have written their parts.
void seal_checkpoint(const std::filesystem::path& path, Manifest manifest,
                     const CheckpointContents& contents);

/// Makes the checkpoint `path` of its staging folder. One that was there is in the staging folder
/// afterwards. One rank.
void commit_checkpoint(const std::filesystem::path& path);

/// After the commit: deletes the one that was replaced, sets aside as abandoned-N what belongs to a
/// branch that the run has left (later steps, and with the first save all that was there after the
/// checkpoint that the run was resumed from), moves LATEST and deletes what the retention leaves
/// over. One rank.
void settle_checkpoint(const CheckpointPlace& place, int64_t step);

/// A finished file as the manifest lists it, and a text that is written as one and read back.
[[nodiscard]] ManifestFile described(WrittenFile written);
ManifestFile write_listed(const std::filesystem::path& path, std::string_view text);

}  // namespace phalanx
