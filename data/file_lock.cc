#include "data/file_lock.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace phalanx {
namespace {

/// False when the lock is held elsewhere and `operation` does not wait.
bool lock(const File& file, int operation) {
  while (::flock(file.descriptor(), operation) != 0) {
    const int error = errno;
    if (error == EINTR) continue;
    if (error == EWOULDBLOCK) return false;
    if (error == ENOSYS || error == EOPNOTSUPP || error == ENOLCK) return true;
    throw std::system_error(error, std::generic_category(), "lock " + file.path().string());
  }
  return true;
}

}  // namespace

FileLock::FileLock(File file) : file_(std::move(file)) {}

FileLock FileLock::share(const std::filesystem::path& path) {
  File file = File::open_append(path);
  lock(file, LOCK_SH);
  return FileLock(std::move(file));
}

FileLock FileLock::exclude(const std::filesystem::path& path) {
  File file = File::open_append(path);
  lock(file, LOCK_EX);
  return FileLock(std::move(file));
}

std::optional<FileLock> FileLock::try_exclude(const std::filesystem::path& path) {
  File file = File::open_append(path);
  if (!lock(file, LOCK_EX | LOCK_NB)) return std::nullopt;
  return FileLock(std::move(file));
}

bool FileLock::is_current() const {
  struct stat mine, there;
  if (::fstat(file_.descriptor(), &mine) != 0) return false;
  if (::stat(file_.path().c_str(), &there) != 0) return false;
  return mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

}  // namespace phalanx
