#pragma once
// A lock on a file that processes share, also over network file systems that have flock(2). It ends
// with the object or with the process, so a kill leaves nothing locked.
//
// Local. One owner. The file is made if it is not there and is never removed here. Where a file
// system has no locks at all the lock counts as taken, and keeps_others_out() says that it does
// nothing: who holds it must see to it that no two processes do the same work. Errors:
// std::system_error with the path.
#include <filesystem>
#include <optional>

#include "data/file.h"

namespace phalanx {

class FileLock {
 public:
  /// Held beside other shared locks. Waits for an exclusive one to end.
  [[nodiscard]] static FileLock share(const std::filesystem::path& path);
  /// Waits until no other lock is held.
  [[nodiscard]] static FileLock exclude(const std::filesystem::path& path);
  /// Nothing when another lock is held.
  [[nodiscard]] static std::optional<FileLock> try_exclude(const std::filesystem::path& path);

  /// Of a file that must be there already, which is opened for reading only: nothing when it is
  /// gone, or another lock stands against it.
  [[nodiscard]] static std::optional<FileLock> try_share_existing(
      const std::filesystem::path& path);
  [[nodiscard]] static std::optional<FileLock> try_exclude_existing(
      const std::filesystem::path& path);

  /// Whether someone holds the file exclusively, found out without writing: a shared lock is held
  /// for a moment, so whoever wants it exclusively should try more than once. Nothing where there
  /// is no such file, or no locks.
  [[nodiscard]] static std::optional<bool> is_excluded(const std::filesystem::path& path);

  /// False on a file system without locks.
  [[nodiscard]] bool keeps_others_out() const { return keeps_others_out_; }
  /// False when the file was removed or renamed since, so that newcomers lock another one.
  [[nodiscard]] bool is_current() const;
  const File& file() const { return file_; }

 private:
  FileLock(File file, bool keeps_others_out);
  static std::optional<FileLock> try_existing(const std::filesystem::path& path, int operation);

  File file_;
  bool keeps_others_out_;
};

}  // namespace phalanx
