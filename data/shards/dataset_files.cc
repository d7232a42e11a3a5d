#include "data/shards/dataset_files.h"

#include <fmt/format.h>

#include <stdexcept>

#include "data/shards/dataset_manifest.h"

namespace phalanx {

std::filesystem::path train_folder(const std::filesystem::path& folder) {
  for (const std::filesystem::path& part : {folder, folder / "train"}) {
    std::error_code error;
    if (std::filesystem::exists(part / kManifestName, error)) return part;
  }
  throw std::invalid_argument(
      fmt::format("{}: expected a data set ({} or train/{} in it), found neither", folder.string(),
                  kManifestName, kManifestName));
}

std::optional<std::filesystem::path> validation_folder(const std::filesystem::path& folder) {
  std::error_code error;
  if (std::filesystem::exists(folder / "validation" / kManifestName, error)) {
    return folder / "validation";
  }
  return std::nullopt;
}

}  // namespace phalanx
