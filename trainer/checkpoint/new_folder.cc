#include "trainer/checkpoint/new_folder.h"

#include <fmt/format.h>

#include <stdexcept>
#include <system_error>

#include "data/file.h"

namespace phalanx {

void write_new_folder(const std::filesystem::path& target,
                      const std::function<void(const std::filesystem::path& staging)>& write) {
  if (std::filesystem::exists(std::filesystem::symlink_status(target))) {
    throw std::invalid_argument(
        fmt::format("{}: expected no such folder, found one", target.string()));
  }
  // It might be somebody's own: only what this call makes is removed by it.
  const std::filesystem::path left_over = staging_folder(target);
  if (std::filesystem::exists(std::filesystem::symlink_status(left_over))) {
    throw std::invalid_argument(
        fmt::format("{}: expected no such folder, found one; a command that was killed may have "
                    "left it: remove it",
                    left_over.string()));
  }
  const std::filesystem::path staging = make_staging_folder(target);
  try {
    write(staging);
    commit_staging_folder(target);
  } catch (...) {
    // The error at hand matters more than one of the removal.
    std::error_code ignored;
    std::filesystem::remove_all(staging, ignored);
    throw;
  }
}

}  // namespace phalanx
