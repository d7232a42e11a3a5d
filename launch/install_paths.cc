#include "launch/install_paths.h"

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace phalanx {

std::string find_config_dir() {
  namespace fs = std::filesystem;
  const fs::path executable = fs::read_symlink("/proc/self/exe");
  const fs::path installed = executable.parent_path().parent_path() / "share/phalanx/configs";
  if (fs::is_directory(installed)) return installed.string();
  const fs::path source = PHALANX_CONFIG_DIR;
  if (fs::is_directory(source)) return source.string();
  throw std::system_error(
      ENOENT, std::generic_category(),
      "no folder of presets at " + installed.string() + " nor at " + source.string());
}

}  // namespace phalanx
