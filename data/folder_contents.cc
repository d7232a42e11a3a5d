#include "data/folder_contents.h"

#include <dirent.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

namespace phalanx {
namespace {

[[noreturn]] void fail(const char* operation, const std::filesystem::path& path) {
  const int error = errno;
  throw std::system_error(error, std::generic_category(),
                          fmt::format("{} {}", operation, path.string()));
}

}  // namespace

std::vector<std::filesystem::path> paths_in(const std::filesystem::path& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> opened(::opendir(folder.c_str()), ::closedir);
  if (opened == nullptr) fail("list folder", folder);
  std::vector<std::filesystem::path> paths;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(opened.get());
    if (entry == nullptr && errno != 0) fail("list folder", folder);
    if (entry == nullptr) return paths;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") paths.push_back(folder / name);
  }
}

void remove_path(const std::filesystem::path& path) {
  const std::string name = path.has_filename() ? path : path.parent_path();
  if (::unlink(name.c_str()) == 0 || errno == ENOENT) return;
  if (errno != EISDIR) fail("remove", path);
  for (const std::filesystem::path& inside : paths_in(path)) remove_path(inside);
  if (::rmdir(name.c_str()) != 0 && errno != ENOENT) fail("remove", path);
}

}  // namespace phalanx
