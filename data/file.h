#pragma once
// Files that must be read exactly or must last: descriptor, exact reads, and the one commit
// protocol of the project, used for checkpoints, shards and manifests alike.
//
// Local; no collective. Threads: const methods of File may run at the same time, all else needs one
// owner. Units are bytes.
// Errors: std::system_error that names operation and path ("write runs/a/step-10.tmp/rank-0: No
// space left on device"); std::invalid_argument when a file ends before a read does.
//
// The protocol, for a folder NAME: make_staging_folder(NAME) gives an empty NAME.tmp; each file in
// it is written by DurableWriter (write, fsync, close checked); then commit_staging_folder(NAME)
// does fsync NAME.tmp, rename NAME.tmp to NAME, fsync the parent. After a power cut at any moment
// NAME is absent or whole. An fsync is never retried: after a failure the kernel has marked the
// pages clean, so a second fsync would succeed over lost data. Delete the file and write it again.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "data/block_hash.h"

namespace phalanx {

/// An fsync that failed. Only a new file, written in full, can make up for it.
class SyncError final : public std::system_error {
 public:
  using std::system_error::system_error;
};

/// An open descriptor, closed when the object ends.
class File {
 public:
  [[nodiscard]] static File open_read(const std::filesystem::path& path);
  /// Makes the file, or empties the one that is there, and opens it for writing.
  [[nodiscard]] static File create(const std::filesystem::path& path);
  /// Opens for writing at the end; makes the file if it is not there.
  [[nodiscard]] static File open_append(const std::filesystem::path& path);
  /// A file of `path`'s folder without a name, for writing, that goes with its descriptor unless
  /// link() names it. Where the file system has no such files: one named `path`, which is not.
  [[nodiscard]] static File create_unnamed(const std::filesystem::path& path);

  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  const std::filesystem::path& path() const { return path_; }
  /// For system calls that this class does not wrap; stays the object's.
  int descriptor() const { return descriptor_; }
  [[nodiscard]] int64_t size() const;

  /// Fills `bytes` from the file's [offset, offset + bytes.size()).
  void read_exact(int64_t offset, std::span<std::byte> bytes) const;
  void write_all(std::span<const std::byte> bytes);
  /// Takes room for `bytes` from the beginning, where the file system can do that.
  void reserve(int64_t bytes);
  /// Of length 0 again.
  void clear();
  /// Gives a file of create_unnamed() the name `path`, which must be free.
  void link(const std::filesystem::path& path);
  /// Throws SyncError.
  void sync();
  /// Closes and reports what the destructor would swallow (a late write error on NFS).
  void close();

 private:
  File(std::filesystem::path path, int descriptor);

  std::filesystem::path path_;
  int descriptor_ = -1;
  bool unnamed_ = false;
};

struct WrittenFile {
  int64_t bytes = 0;
  uint64_t xxh3 = 0;                   // of the whole file
  std::vector<uint64_t> block_hashes;  // of each kHashBlockBytes
};

/// Writes one file in order, through a buffer, and hashes it on the way. What was not finished is
/// removed when the object ends.
class DurableWriter {
 public:
  explicit DurableWriter(const std::filesystem::path& path);
  ~DurableWriter();
  DurableWriter(const DurableWriter&) = delete;
  DurableWriter& operator=(const DurableWriter&) = delete;

  void write(std::span<const std::byte> bytes);
  /// Flush, fsync, close: the contents have reached the disk, the name not before its folder's
  /// sync_folder(). Nothing may be written afterwards.
  WrittenFile finish();

 private:
  void flush();

  File file_;
  BlockHasher hasher_;
  std::vector<std::byte> buffer_;
  int64_t bytes_written_ = 0;
  bool finished_ = false;
};

/// The whole file; refuses one longer than `max_bytes` before it allocates.
[[nodiscard]] std::string read_text(const std::filesystem::path& path, int64_t max_bytes);

/// Replaces `path` by `bytes`: path.tmp, fsync, rename, fsync of the parent. Readers see the old or
/// the new contents, never a mixture.
void commit_file(const std::filesystem::path& path, std::string_view bytes);

void sync_folder(const std::filesystem::path& folder);

/// Makes the folder and those above it that are missing, each entry synced.
void make_folders(const std::filesystem::path& folder);

/// rename(2). Lasts after sync_folder() of the parent.
void rename_path(const std::filesystem::path& from, const std::filesystem::path& to);

/// renameat2(2): each of the two takes the other's name, in one step. False, with nothing changed,
/// if the file system cannot do that. Lasts like rename_path().
[[nodiscard]] bool exchange_paths(const std::filesystem::path& one,
                                  const std::filesystem::path& other);

/// NAME.tmp beside `name`, made anew; what an earlier attempt left under that name is removed.
std::filesystem::path make_staging_folder(const std::filesystem::path& name);

/// Where make_staging_folder(name) puts its files.
[[nodiscard]] std::filesystem::path staging_folder(const std::filesystem::path& name);

/// Precondition: every file in NAME.tmp was finished and every folder inside it synced.
/// A folder NAME that is there and not empty makes the rename fail: nothing is overwritten.
void commit_staging_folder(const std::filesystem::path& name);

}  // namespace phalanx
