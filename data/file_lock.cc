#include "data/file_lock.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace phalanx {
namespace {

enum class Outcome { kLocked, kHeldElsewhere, kNoLocks };

/// Held elsewhere only where `operation` does not wait.
Outcome lock(const File& file, int operation) {
  while (::flock(file.descriptor(), operation) != 0) {
    const int error = errno;
    if (error == EINTR) continue;
    if (error == EWOULDBLOCK) return Outcome::kHeldElsewhere;
    if (error == ENOSYS || error == EOPNOTSUPP) return Outcome::kNoLocks;
    throw std::system_error(error, std::generic_category(), "lock " + file.path().string());
  }
  return Outcome::kLocked;
}

}  // namespace

FileLock::FileLock(File file, bool keeps_others_out)
    : file_(std::move(file)), keeps_others_out_(keeps_others_out) {}

FileLock FileLock::share(const std::filesystem::path& path) {
  File file = File::open_append(path);
  const Outcome outcome = lock(file, LOCK_SH);
  return FileLock(std::move(file), outcome == Outcome::kLocked);
}

FileLock FileLock::exclude(const std::filesystem::path& path) {
  File file = File::open_append(path);
  const Outcome outcome = lock(file, LOCK_EX);
  return FileLock(std::move(file), outcome == Outcome::kLocked);
}

std::optional<FileLock> FileLock::try_exclude(const std::filesystem::path& path) {
  File file = File::open_append(path);
  const Outcome outcome = lock(file, LOCK_EX | LOCK_NB);
  if (outcome == Outcome::kHeldElsewhere) return std::nullopt;
  return FileLock(std::move(file), outcome == Outcome::kLocked);
}

std::optional<FileLock> FileLock::try_existing(const std::filesystem::path& path, int operation) {
  try {
    File file = File::open_read(path);
    const Outcome outcome = lock(file, operation | LOCK_NB);
    if (outcome == Outcome::kHeldElsewhere) return std::nullopt;
    FileLock taken(std::move(file), outcome == Outcome::kLocked);
    // It may have been removed between the opening and the lock.
    if (!taken.is_current()) return std::nullopt;
    return taken;
  } catch (const std::system_error& error) {
    if (error.code().value() == ENOENT) return std::nullopt;
    throw;
  }
}

std::optional<FileLock> FileLock::try_share_existing(const std::filesystem::path& path) {
  return try_existing(path, LOCK_SH);
}

std::optional<FileLock> FileLock::try_exclude_existing(const std::filesystem::path& path) {
  return try_existing(path, LOCK_EX);
}

std::optional<bool> FileLock::is_excluded(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  const File file = File::open_read(path);
  switch (lock(file, LOCK_SH | LOCK_NB)) {
    case Outcome::kLocked:
      return false;
    case Outcome::kHeldElsewhere:
      return true;
    case Outcome::kNoLocks:
      break;
  }
  return std::nullopt;
}

bool FileLock::is_current() const {
  struct stat mine, there;
  if (::fstat(file_.descriptor(), &mine) != 0) return false;
  if (::stat(file_.path().c_str(), &there) != 0) return false;
  return mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

}  // namespace phalanx
