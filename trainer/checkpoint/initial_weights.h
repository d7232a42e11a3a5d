#pragma once
// The first weights of a run from a folder of either kind: a Hugging Face folder or a checkpoint,
// imported or of another run.
//
// Local: every rank opens its own and reads only what it holds. Errors: std::invalid_argument when
// the folder's model is not this one; those of hf_folder.h and checkpoint_reader.h.
#include <filesystem>
#include <vector>

#include "model/phi4_config.h"
#include "parallel/parameters.h"
#include "trainer/adamw.h"

namespace phalanx {

/// It has a manifest.json.
[[nodiscard]] bool is_checkpoint(const std::filesystem::path& folder);

/// Fills the masters of this rank's shares; moments are left alone.
void load_initial_weights(const std::filesystem::path& folder, const Phi4Config& model,
                          const ParameterSet& parameters, std::vector<BucketShare>& shares);

}  // namespace phalanx
