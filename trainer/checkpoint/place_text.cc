#include "trainer/checkpoint/place_text.h"

#include <fmt/format.h>

#include <stdexcept>
#include <vector>

#include "trainer/checkpoint/checkpoint_folder.h"
#include "trainer/checkpoint/initial_weights.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

std::string file_text(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : ".";
  if (is_checkpoint(folder)) return "a file of the checkpoint " + folder.string();
  if (fs::exists(folder / "config.json")) {
    return "a file of the Hugging Face folder " + folder.string();
  }
  return "a file";
}

}  // namespace

std::string place_text(const fs::path& path) {
  if (!fs::exists(path)) return "none";
  if (!fs::is_directory(path)) return file_text(path);
  if (is_checkpoint(path)) return "a checkpoint";
  for (const fs::path& folder : {path, path / "checkpoints"}) {
    const std::vector<CheckpointEntry> entries = list_checkpoints(folder);
    const char* what = folder == path ? "a folder of checkpoints" : "the folder of a run";
    if (!entries.empty()) {
      return fmt::format("{}, whose newest checkpoint is {}", what, entries.back().path.string());
    }
  }
  if (fs::exists(path / "checkpoints")) return "the folder of a run without a checkpoint";
  if (fs::exists(path / "config.json")) return "a Hugging Face folder";
  if (fs::exists(path / "dataset.json") || fs::exists(path / "train" / "dataset.json")) {
    return "a data set";
  }
  if (fs::exists(path / "tokenizer.json")) return "the folder of a tokenizer";
  return "a folder with neither manifest.json nor config.json";
}

void require_checkpoint(const fs::path& path, const std::string& name) {
  if (is_checkpoint(path)) return;
  throw std::invalid_argument(fmt::format(
      "{}: expected a checkpoint (with manifest.json), found {}", name, place_text(path)));
}

}  // namespace phalanx
