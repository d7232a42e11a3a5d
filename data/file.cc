#include "data/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "data/folder_contents.h"

namespace phalanx {
namespace {

// One system call moves at most 2 GiB on Linux; smaller pieces keep signals and progress prompt.
constexpr size_t kMaxTransferBytes = size_t{1} << 30;
constexpr size_t kWriteBufferBytes = size_t{1} << 20;

[[noreturn]] void fail(const char* operation, const std::filesystem::path& path) {
  // errno is taken first: formatting may change it.
  const int error = errno;
  throw std::system_error(error, std::generic_category(),
                          fmt::format("{} {}", operation, path.string()));
}

[[noreturn]] void fail_sync(const char* operation, const std::filesystem::path& path) {
  const int error = errno;
  throw SyncError(error, std::generic_category(), fmt::format("{} {}", operation, path.string()));
}

int open_retrying(const std::filesystem::path& path, int flags) {
  int descriptor;
  do {
    descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  } while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

std::filesystem::path without_trailing_slash(const std::filesystem::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

std::filesystem::path parent_of(const std::filesystem::path& path) {
  const std::filesystem::path parent = without_trailing_slash(path).parent_path();
  return parent.empty() ? std::filesystem::path(".") : parent;
}

}  // namespace

File::File(std::filesystem::path path, int descriptor)
    : path_(std::move(path)), descriptor_(descriptor) {}

File File::open_read(const std::filesystem::path& path) {
  const int descriptor = open_retrying(path, O_RDONLY);
  if (descriptor < 0) fail("open", path);
  return File(path, descriptor);
}

File File::create(const std::filesystem::path& path) {
  const int descriptor = open_retrying(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (descriptor < 0) fail("create", path);
  return File(path, descriptor);
}

File File::open_append(const std::filesystem::path& path) {
  const int descriptor = open_retrying(path, O_RDWR | O_CREAT | O_APPEND);
  if (descriptor < 0) fail("open", path);
  return File(path, descriptor);
}

File File::create_unnamed(const std::filesystem::path& path) {
  const int descriptor = open_retrying(parent_of(path), O_TMPFILE | O_RDWR);
  if (descriptor < 0) {
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) fail("create", path);
    return create(path);
  }
  File file(path, descriptor);
  file.unnamed_ = true;
  return file;
}

File::File(File&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      unnamed_(other.unnamed_) {}

File& File::operator=(File&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(unnamed_, other.unnamed_);
  return *this;
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

int64_t File::size() const {
  struct stat status;
  if (::fstat(descriptor_, &status) != 0) fail("stat", path_);
  return status.st_size;
}

void File::read_exact(int64_t offset, std::span<std::byte> bytes) const {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got =
        ::pread(descriptor_, bytes.data() + done, std::min(bytes.size() - done, kMaxTransferBytes),
                offset + static_cast<int64_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("read", path_);
    if (got == 0) {
      throw std::invalid_argument(
          fmt::format("{}: expected {} bytes at offset {}, found {}: the file is truncated",
                      path_.string(), bytes.size(), offset, done));
    }
    done += static_cast<size_t>(got);
  }
}

void File::write_all(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t put =
        ::write(descriptor_, bytes.data(), std::min(bytes.size(), kMaxTransferBytes));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail("write", path_);
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
}

void File::reserve(int64_t bytes) {
  if (bytes == 0) return;
  int outcome;
  do {
    outcome = ::fallocate(descriptor_, FALLOC_FL_KEEP_SIZE, 0, bytes);
  } while (outcome != 0 && errno == EINTR);
  const int error = errno;
  if (outcome == 0 || error == EOPNOTSUPP || error == ENOSYS) return;
  throw std::system_error(error, std::generic_category(),
                          fmt::format("take {} bytes for {}", bytes, path_.string()));
}

void File::clear() {
  if (::ftruncate(descriptor_, 0) != 0 || ::lseek(descriptor_, 0, SEEK_SET) != 0) {
    fail("truncate", path_);
  }
}

void File::link(const std::filesystem::path& path) {
  if (!unnamed_) return rename_path(path_, path);
  const std::string self = fmt::format("/proc/self/fd/{}", descriptor_);
  if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    fail("link", path);
  }
}

void File::sync() {
  if (::fsync(descriptor_) != 0) fail_sync("fsync", path_);
}

void File::close() {
  // Linux frees the descriptor even when close() fails, so it is never closed twice.
  if (::close(std::exchange(descriptor_, -1)) != 0) fail("close", path_);
}

DurableWriter::DurableWriter(const std::filesystem::path& path) : file_(File::create(path)) {
  buffer_.reserve(kWriteBufferBytes);
}

DurableWriter::~DurableWriter() {
  if (!finished_) ::unlink(file_.path().c_str());
}

void DurableWriter::write(std::span<const std::byte> bytes) {
  hasher_.update(bytes);
  bytes_written_ += static_cast<int64_t>(bytes.size());
  if (buffer_.size() + bytes.size() > kWriteBufferBytes) flush();
  if (bytes.size() >= kWriteBufferBytes) {
    file_.write_all(bytes);
  } else {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  }
}

void DurableWriter::flush() {
  file_.write_all(buffer_);
  buffer_.clear();
}

WrittenFile DurableWriter::finish() {
  flush();
  file_.sync();
  const int64_t found = file_.size();
  if (found != bytes_written_) {
    throw std::system_error(EIO, std::generic_category(),
                            fmt::format("write {}: wrote {} bytes, the file holds {}",
                                        file_.path().string(), bytes_written_, found));
  }
  file_.close();
  finished_ = true;
  return {bytes_written_, hasher_.digest(), hasher_.block_hashes()};
}

std::string read_text(const std::filesystem::path& path, int64_t max_bytes) {
  const File file = File::open_read(path);
  const int64_t size = file.size();
  if (size > max_bytes) {
    throw std::invalid_argument(
        fmt::format("{}: expected at most {} bytes, found {}", path.string(), max_bytes, size));
  }
  std::string text(static_cast<size_t>(size), '\0');
  file.read_exact(0, std::as_writable_bytes(std::span(text)));
  return text;
}

void commit_file(const std::filesystem::path& path, std::string_view bytes) {
  const std::filesystem::path temporary = path.string() + ".tmp";
  DurableWriter writer(temporary);
  writer.write(std::as_bytes(std::span(bytes)));
  writer.finish();
  rename_path(temporary, path);
  sync_folder(parent_of(path));
}

void sync_folder(const std::filesystem::path& folder) {
  const int descriptor = open_retrying(folder, O_RDONLY | O_DIRECTORY);
  if (descriptor < 0) fail("open folder", folder);
  const bool synced = ::fsync(descriptor) == 0;
  const int error = errno;
  ::close(descriptor);
  errno = error;
  if (!synced) fail_sync("fsync folder", folder);
}

void rename_path(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return;
  const int error = errno;
  throw std::system_error(error, std::generic_category(),
                          fmt::format("rename {} to {}", from.string(), to.string()));
}

bool exchange_paths(const std::filesystem::path& one, const std::filesystem::path& other) {
  if (::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) == 0) {
    return true;
  }
  const int error = errno;
  if (error == EINVAL || error == ENOSYS || error == EOPNOTSUPP) return false;
  throw std::system_error(error, std::generic_category(),
                          fmt::format("exchange {} and {}", one.string(), other.string()));
}

std::filesystem::path staging_folder(const std::filesystem::path& name) {
  return without_trailing_slash(name).string() + ".tmp";
}

void make_folders(const std::filesystem::path& folder) {
  if (std::filesystem::is_directory(folder)) return;
  const std::filesystem::path parent = parent_of(folder);
  make_folders(parent);
  if (::mkdir(without_trailing_slash(folder).c_str(), 0777) != 0 && errno != EEXIST) {
    fail("create folder", folder);
  }
  sync_folder(parent);
}

std::filesystem::path make_staging_folder(const std::filesystem::path& name) {
  const std::filesystem::path staging = staging_folder(name);
  remove_path(staging);
  make_folders(staging);
  return staging;
}

void commit_staging_folder(const std::filesystem::path& name) {
  const std::filesystem::path staging = staging_folder(name);
  sync_folder(staging);
  rename_path(staging, without_trailing_slash(name));
  sync_folder(parent_of(name));
}

}  // namespace phalanx
