#pragma once
// A model that a person points at: a Hugging Face folder, imported weights, or a run's checkpoint,
// with what export and scoring need to know of it. Local; one process.
// Of a run's checkpoint, the base of the rotary embedding and the length are those of the stage
// that it stands in, and the tokenizer is the run's.
// Errors: std::invalid_argument that names the folder or file, expected and found.
#include <filesystem>
#include <memory>
#include <string>

#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/checkpoint/hf_config.h"
#include "trainer/checkpoint/hf_files.h"
#include "trainer/checkpoint/tensor_source.h"

namespace phalanx {

struct ModelPlace {
  HfConfig config;
  std::string tokenizer;                         // of a run, as configured; else empty
  std::unique_ptr<CheckpointReader> checkpoint;  // null: a Hugging Face folder
  std::unique_ptr<TensorSource> source;          // may refer to the checkpoint
};

/// `name` is what messages call a path that is neither.
[[nodiscard]] ModelPlace open_model(const std::filesystem::path& path, const std::string& name);
[[nodiscard]] inline ModelPlace open_model(const std::filesystem::path& path) {
  return open_model(path, path.string());
}

/// Its section `model:` for a run that starts from `path`, and as a comment what belongs in stages.
[[nodiscard]] std::string model_section(const HfConfig& config, const std::string& path);

/// Tokenizer files for an export and the ids that they give: of imported weights those that came
/// with them; of a run those beside its tokenizer, or made from it. `tokenizer`, a file or a
/// folder, takes the place of the run's; empty: none does. Precondition: place.checkpoint.
[[nodiscard]] HfFiles files_for_export(ModelPlace& place, const std::string& tokenizer);

}  // namespace phalanx
