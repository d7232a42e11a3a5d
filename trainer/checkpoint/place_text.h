#pragma once
// What stands at a path where a model was expected, in a message's words. Local; reads names, not
// contents.
#include <filesystem>
#include <string>

namespace phalanx {

/// Follows "found": "none", "a file of the checkpoint A", "a checkpoint", "the folder of a run,
/// whose newest checkpoint is A/checkpoints/step-000100", "a Hugging Face folder", ...
[[nodiscard]] std::string place_text(const std::filesystem::path& path);

/// Throws std::invalid_argument "NAME: expected a checkpoint (with manifest.json), found ..." where
/// `path` is none; `name` is what a person gave it by.
void require_checkpoint(const std::filesystem::path& path, const std::string& name);

}  // namespace phalanx
