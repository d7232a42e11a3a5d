#include "trainer/checkpoint/initial_weights.h"

#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/checkpoint/hf_folder.h"

namespace phalanx {

bool is_checkpoint(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "manifest.json");
}

void load_initial_weights(const std::filesystem::path& folder, const Phi4Config& model,
                          const ParameterSet& parameters, std::vector<BucketShare>& shares) {
  if (is_checkpoint(folder)) {
    CheckpointReader reader(folder);
    load_checkpoint(reader, model, parameters, shares, /*moments=*/false);
  } else {
    load_hf_weights(folder, model, parameters, shares);
  }
}

}  // namespace phalanx
