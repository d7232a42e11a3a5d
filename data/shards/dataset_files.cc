#include "data/shards/dataset_files.h"

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <system_error>

#include "data/shards/dataset_manifest.h"

namespace phalanx {
namespace {

/// For a folder with token files but no manifest: where it comes from.
std::string adoption_advice(const std::filesystem::path& folder) {
  std::string prefix;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    std::filesystem::path path = entry.path();
    if (path.extension() != ".idx") continue;
    const std::string found = path.replace_extension().string();
    if (prefix.empty() || found < prefix) prefix = found;
  }
  return prefix.empty() ? ""
                        : fmt::format(
                              ": phalanx data convert --adopt {} makes one of a corpus "
                              "made elsewhere",
                              prefix);
}

}  // namespace

std::filesystem::path train_folder(const std::filesystem::path& folder) {
  for (const std::filesystem::path& part : {folder, folder / "train"}) {
    std::error_code error;
    if (std::filesystem::exists(part / kManifestName, error)) return part;
  }
  throw std::invalid_argument(
      fmt::format("{}: expected a data set ({} or train/{} in it), found neither{}",
                  folder.string(), kManifestName, kManifestName, adoption_advice(folder)));
}

std::optional<std::filesystem::path> validation_folder(const std::filesystem::path& folder) {
  std::error_code error;
  if (std::filesystem::exists(folder / "validation" / kManifestName, error)) {
    return folder / "validation";
  }
  return std::nullopt;
}

}  // namespace phalanx
