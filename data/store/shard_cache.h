#pragma once
// Files of stores on a disk of this host, up to a number of bytes, shared by all processes of one
// user that name the same folder.
//
//   FOLDER/lock                    held for moments, while room is given out
//   FOLDER/HASH-BYTES              a whole file whose hash was found to be HASH; its users hold it
//                                  shared (flock), so that it is never evicted under them
//   FOLDER/HASH-BYTES.fetching     empty; held by the process that fetches the file, for which it
//                                  keeps the room. What has come has no name until it is whole
//
// So a process that is killed leaves whole files, and at most an empty one, which the next to look
// removes. Contents reach the disk before they get their name: after a power cut a name stands for
// its file or is not there. What was used longest ago is evicted first.
// Local. Any number of threads and processes. Errors: std::system_error naming path and bytes (a
// disk that is full), std::invalid_argument for a folder that others could write to or without
// locks.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "data/block_hash.h"
#include "data/file_lock.h"
#include "data/shards/file_source.h"
#include "data/store/fetcher.h"

namespace phalanx {

/// A file by its contents, so that data sets share it and a changed one is another.
struct CacheKey {
  uint64_t xxh3 = 0;
  int64_t bytes = 0;
  auto operator<=>(const CacheKey&) const = default;
};
[[nodiscard]] std::string cache_name(const CacheKey& key);

/// Kept where it is while this lives.
struct CachedFile {
  FileLock lock;
};

/// Room in the cache for a file that is being fetched. Without commit() nothing stays of it.
class CacheWriter final : public FetchTarget {
 public:
  CacheWriter(const std::filesystem::path& folder, const CacheKey& key, FileLock marker);
  ~CacheWriter() override;
  CacheWriter(const CacheWriter&) = delete;
  CacheWriter& operator=(const CacheWriter&) = delete;

  int64_t size() const override { return size_; }
  void append(std::span<const std::byte> bytes) override;
  void restart() override;
  uint64_t xxh3() const override { return hasher_.digest(); }

  /// Takes the disk's blocks, before the first byte is fetched.
  void reserve();
  /// What was written is the file: it gets its name.
  void commit();

 private:
  std::filesystem::path folder_;
  CacheKey key_;
  FileLock marker_;
  File file_;
  BlockHasher hasher_;
  int64_t size_ = 0;
};

class ShardCache {
 public:
  /// Makes the folder, for this user only.
  ShardCache(const std::filesystem::path& folder, int64_t max_bytes);

  const std::filesystem::path& folder() const { return folder_; }
  int64_t max_bytes() const { return max_bytes_; }

  /// The file, if it is there.
  [[nodiscard]] std::shared_ptr<const CachedFile> find(const CacheKey& key) const;

  enum class Refusal {
    kThere,      // it has come in the meantime
    kElsewhere,  // another process, or thread, is fetching it
    kNoRoom,     // all that is there is in use
  };
  /// Room for the file, for which others may have to go.
  [[nodiscard]] std::variant<Refusal, std::unique_ptr<CacheWriter>> begin(const CacheKey& key);

  /// Bytes of whole files.
  [[nodiscard]] int64_t used_bytes() const;

 private:
  struct Entry {
    std::filesystem::path path;
    CacheKey key;
    bool marker = false;
    std::filesystem::file_time_type used{};
  };
  std::vector<Entry> entries() const;
  bool make_room(const CacheKey& key);
  bool evict_one(std::vector<Entry>& by_age) const;

  std::filesystem::path folder_;
  int64_t max_bytes_;
};

}  // namespace phalanx
