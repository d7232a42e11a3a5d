#include "trainer/checkpoint/new_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <system_error>

#include "data/file.h"
#include "trainer/checkpoint/initial_weights.h"

namespace phalanx {
namespace {

// Other programs have a manifest.json too.
bool holds_tensors(const std::filesystem::path& folder) {
  const std::filesystem::directory_iterator files(folder);
  return std::any_of(begin(files), end(files), [](const std::filesystem::directory_entry& file) {
    return file.path().extension() == ".safetensors";
  });
}

// A checkpoint is whole as it is: its folder is renamed and deleted as one.
void check_outside_checkpoints(const std::filesystem::path& target) {
  std::filesystem::path folder = std::filesystem::absolute(target).lexically_normal();
  while (folder.has_relative_path()) {
    folder = folder.parent_path();
    if (!is_checkpoint(folder) || !holds_tensors(folder)) continue;
    throw std::invalid_argument(
        fmt::format("{}: expected a place outside of every checkpoint, found it inside {}",
                    target.string(), folder.string()));
  }
}

}  // namespace

void write_new_folder(const std::filesystem::path& target,
                      const std::function<void(const std::filesystem::path& staging)>& write) {
  if (std::filesystem::exists(std::filesystem::symlink_status(target))) {
    throw std::invalid_argument(
        fmt::format("{}: expected no such folder, found one", target.string()));
  }
  check_outside_checkpoints(target);
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
