#include "data/shards/file_source.h"

#include <fmt/format.h>

#include <stdexcept>
#include <system_error>

#include "data/file.h"
#include "data/shards/dataset_manifest.h"

namespace phalanx {

std::string FolderFiles::read_text(const std::string& file, int64_t max_bytes) const {
  return phalanx::read_text(folder_ / file, max_bytes);
}

void FolderFiles::check(const DatasetFile& file) const {
  const std::string path = (folder_ / file.name).string();
  std::error_code error;
  const auto found = std::filesystem::file_size(path, error);
  if (error) throw std::system_error(error, "stat " + path);
  if (static_cast<int64_t>(found) == file.bytes) return;
  throw std::invalid_argument(
      fmt::format("{}: size: expected {} bytes as {} beside it says, found {} bytes", path,
                  file.bytes, kManifestName, found));
}

}  // namespace phalanx
