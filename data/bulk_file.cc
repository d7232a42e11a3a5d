#include "data/bulk_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

namespace phalanx {
namespace {

// Of memory, offsets and lengths that pass the page cache: the largest that disks ask for.
constexpr int64_t kDirectAlignment = 4096;
static_assert(kHashBlockBytes % kBulkChunkBytes == 0 && kBulkChunkBytes % kDirectAlignment == 0);

[[noreturn]] void fail(const char* operation, const std::filesystem::path& path) {
  const int error = errno;
  throw std::system_error(error, std::generic_category(),
                          fmt::format("{} {}", operation, path.string()));
}

[[noreturn]] void fail_read_back(const std::filesystem::path& path, const std::string& found) {
  throw std::system_error(EIO, std::generic_category(),
                          fmt::format("read back: file {}: {}", path.string(), found));
}

int64_t padded(int64_t bytes) {
  return (bytes + kDirectAlignment - 1) / kDirectAlignment * kDirectAlignment;
}

struct Free {
  void operator()(std::byte* bytes) const { std::free(bytes); }
};
using Chunk = std::unique_ptr<std::byte, Free>;

Chunk make_chunk() {
  void* bytes = std::aligned_alloc(kDirectAlignment, kBulkChunkBytes);
  if (bytes == nullptr) throw std::bad_alloc();
  return Chunk(static_cast<std::byte*>(bytes));
}

// False where the file system has no way past the page cache.
bool set_direct(const File& file, bool direct) {
  const int flags = ::fcntl(file.descriptor(), F_GETFL);
  if (flags < 0) fail("read the flags of", file.path());
  return ::fcntl(file.descriptor(), F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

// A transfer that the disk cannot make past the page cache goes through it. `move(done)` moves what
// is left after so many bytes; ends at `wanted` bytes or the end of the file.
int64_t transfer(const File& file, int64_t wanted, const char* operation,
                 const std::function<ssize_t(int64_t done)>& move) {
  int64_t done = 0;
  bool direct = true;
  while (done < wanted) {
    const ssize_t moved = move(done);
    if (moved > 0) {
      done += moved;
    } else if (moved == 0) {
      break;
    } else if (errno == EINVAL && direct) {
      direct = false;
      set_direct(file, false);
    } else if (errno != EINTR) {
      fail(operation, file.path());
    }
  }
  return done;
}

// Bytes [offset, offset + bytes.size()) of the pieces.
class PieceReader {
 public:
  explicit PieceReader(const BytePieces& pieces) : pieces_(pieces) {
    for (const auto& piece : pieces) {
      begins_.push_back(size_);
      size_ += static_cast<int64_t>(piece.size());
    }
  }
  int64_t size() const { return size_; }

  void read(int64_t offset, std::span<std::byte> bytes) const {
    auto at = static_cast<size_t>(std::upper_bound(begins_.begin(), begins_.end(), offset) -
                                  begins_.begin() - 1);
    for (; !bytes.empty(); ++at) {
      const auto piece = pieces_[at].subspan(static_cast<size_t>(offset - begins_[at]));
      const size_t count = std::min(piece.size(), bytes.size());
      if (count > 0) std::memcpy(bytes.data(), piece.data(), count);
      bytes = bytes.subspan(count);
      offset += static_cast<int64_t>(count);
    }
  }

 private:
  const BytePieces& pieces_;
  std::vector<int64_t> begins_;
  int64_t size_ = 0;
};

// Calls `work` on so many threads, this one among them, and throws the first error once all ended.
void run_streams(size_t num_streams, const std::function<void()>& work) {
  std::mutex mutex;
  std::exception_ptr failure;
  const auto run_stream = [&] {
    try {
      work();
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> others;
    try {
      for (size_t stream = 1; stream < num_streams; ++stream) others.emplace_back(run_stream);
    } catch (const std::exception&) {  // no thread is to be had: fewer do the same work
    }
    run_stream();
  }
  if (failure) std::rethrow_exception(failure);
}

// Calls move_chunk(offset, bytes) for the chunks of each block, in order within the block, and
// returns the blocks' hashes of what it leaves in `bytes`. The first error ends all streams.
using MoveChunk = std::function<void(int64_t offset, std::span<std::byte> bytes)>;

std::vector<uint64_t> hash_blocks(int64_t size, int num_streams, const MoveChunk& move_chunk) {
  std::vector<uint64_t> hashes((size + kHashBlockBytes - 1) / kHashBlockBytes);
  std::atomic<size_t> next{0};
  const auto move_blocks = [&] {
    const Chunk chunk = make_chunk();
    const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> hash(XXH3_createState(),
                                                                               XXH3_freeState);
    if (hash == nullptr) throw std::bad_alloc();
    for (size_t block = next++; block < hashes.size(); block = next++) {
      const int64_t begin = static_cast<int64_t>(block) * kHashBlockBytes;
      const int64_t end = std::min(begin + kHashBlockBytes, size);
      XXH3_64bits_reset(hash.get());
      for (int64_t at = begin; at < end; at += kBulkChunkBytes) {
        const std::span bytes(chunk.get(),
                              static_cast<size_t>(std::min(kBulkChunkBytes, end - at)));
        move_chunk(at, bytes);
        XXH3_64bits_update(hash.get(), bytes.data(), bytes.size());
      }
      hashes[block] = XXH3_64bits_digest(hash.get());
    }
  };
  run_streams(std::min(static_cast<size_t>(std::max(num_streams, 1)), hashes.size()), [&] {
    try {
      move_blocks();
    } catch (...) {
      next = hashes.size();
      throw;
    }
  });
  return hashes;
}

// Room on the disk is asked for at once, where the file system can promise it: streams then write
// side by side, and a disk that is too full says so before anything is written.
void reserve(const File& file, int64_t bytes) {
  if (bytes == 0 || ::fallocate(file.descriptor(), 0, 0, bytes) == 0) return;
  if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL && errno != EINTR)
    fail("write", file.path());
}

WrittenBlocks write_file(File& file, const PieceReader& pieces, int num_streams) {
  const int64_t size = pieces.size();
  reserve(file, size);
  const bool direct = set_direct(file, true);
  WrittenBlocks written{size, {}};
  written.block_hashes =
      hash_blocks(size, num_streams, [&](int64_t offset, std::span<std::byte> bytes) {
        pieces.read(offset, bytes);
        const auto used = static_cast<int64_t>(bytes.size());
        const int64_t wanted = direct ? padded(used) : used;
        std::memset(bytes.data() + used, 0, static_cast<size_t>(wanted - used));
        transfer(file, wanted, "write", [&](int64_t done) {
          return ::pwrite(file.descriptor(), bytes.data() + done,
                          static_cast<size_t>(wanted - done), offset + done);
        });
      });
  if (::ftruncate(file.descriptor(), size) != 0) fail("truncate", file.path());
  file.sync();
  if (!direct) ::posix_fadvise(file.descriptor(), 0, 0, POSIX_FADV_DONTNEED);
  file.close();
  return written;
}

}  // namespace

WrittenBlocks write_in_bulk(const std::filesystem::path& path, const BytePieces& pieces,
                            int num_streams) {
  const PieceReader reader(pieces);
  for (bool again = true;; again = false) {
    File file = File::create(path);
    try {
      return write_file(file, reader, num_streams);
    } catch (const SyncError&) {
      ::unlink(path.c_str());
      if (!again) throw;
    } catch (...) {
      ::unlink(path.c_str());
      throw;
    }
  }
}

void read_back(const std::filesystem::path& path, const WrittenBlocks& written, int num_streams) {
  const File file = File::open_read(path);
  if (const int64_t found = file.size(); found != written.bytes) {
    fail_read_back(path, fmt::format("expected {} bytes, found {}", written.bytes, found));
  }
  const bool direct = set_direct(file, true);
  const auto read_chunk = [&](int64_t offset, std::span<std::byte> bytes) {
    const auto used = static_cast<int64_t>(bytes.size());
    const int64_t wanted = direct ? padded(used) : used;
    const int64_t got = transfer(file, used, "read back", [&](int64_t done) {
      return ::pread(file.descriptor(), bytes.data() + done, static_cast<size_t>(wanted - done),
                     offset + done);
    });
    if (got < used) {
      fail_read_back(path,
                     fmt::format("expected {} bytes at offset {}, found {}", used, offset, got));
    }
  };
  const std::vector<uint64_t> found = hash_blocks(written.bytes, num_streams, read_chunk);
  for (size_t block = 0; block < found.size(); ++block) {
    if (found[block] == written.block_hashes[block]) continue;
    fail_read_back(path,
                   fmt::format("block {}: expected hash {}, found {}", block,
                               hash_text(written.block_hashes[block]), hash_text(found[block])));
  }
}

}  // namespace phalanx
