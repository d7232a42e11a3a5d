#include "data/store/shard_cache.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <set>
#include <stdexcept>
#include <system_error>

#include "data/folder_contents.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFetching = ".fetching";

/// The key of "HASH-BYTES"; nothing for what is not the cache's.
std::optional<CacheKey> key_of(std::string_view name) {
  CacheKey key;
  const size_t dash = name.find('-');
  if (dash != 16) return std::nullopt;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data(), name.data() + dash, key.xxh3, 16);
  const auto [last, problem] = std::from_chars(name.data() + dash + 1, end, key.bytes);
  const bool good = error == std::errc() && stop == name.data() + dash && problem == std::errc() &&
                    last == end && key.bytes >= 0;
  return good ? std::optional(key) : std::nullopt;
}

/// A folder of this user's that nobody else can put a file into.
void check_owner(const fs::path& folder) {
  struct stat status;
  if (::stat(folder.c_str(), &status) != 0) {
    throw std::system_error(errno, std::generic_category(), "stat " + folder.string());
  }
  if (status.st_uid == ::geteuid() && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0) return;
  throw std::invalid_argument(fmt::format(
      "data.store.cache: {}: expected a folder of this user that nobody else may write to, found "
      "one of user {} with mode {:o}",
      folder.string(), status.st_uid, status.st_mode & 07777));
}

/// Bytes that are taken by whole files and by those that are on their way.
template <class Entries>
int64_t taken_bytes(const Entries& entries) {
  std::set<CacheKey> counted;
  int64_t bytes = 0;
  for (const auto& entry : entries) {
    if (counted.insert(entry.key).second) bytes += entry.key.bytes;
  }
  return bytes;
}

}  // namespace

std::string cache_name(const CacheKey& key) {
  return fmt::format("{}-{}", hash_text(key.xxh3), key.bytes);
}

CacheWriter::CacheWriter(const fs::path& folder, const CacheKey& key, FileLock marker)
    : folder_(folder),
      key_(key),
      marker_(std::move(marker)),
      file_(File::create_unnamed(folder / (cache_name(key) + ".part"))) {}

CacheWriter::~CacheWriter() {
  // While the lock on it is still held, so that nobody else has taken it.
  ::unlink(marker_.file().path().c_str());
  ::unlink(file_.path().c_str());  // where the file system has no files without a name
}

void CacheWriter::append(std::span<const std::byte> bytes) {
  file_.write_all(bytes);
  hasher_.update(bytes);
  size_ += static_cast<int64_t>(bytes.size());
}

void CacheWriter::restart() {
  file_.clear();
  file_.reserve(key_.bytes);
  hasher_ = BlockHasher();
  size_ = 0;
}

void CacheWriter::reserve() { file_.reserve(key_.bytes); }

void CacheWriter::commit() {
  file_.sync();
  file_.link(folder_ / cache_name(key_));
}

ShardCache::ShardCache(const fs::path& folder, int64_t max_bytes)
    : folder_(folder), max_bytes_(max_bytes) {
  make_folders(folder_.parent_path());
  if (::mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST) {
    throw std::system_error(errno, std::generic_category(), "create folder " + folder_.string());
  }
  check_owner(folder_);
  const FileLock lock = FileLock::exclude(folder_ / "lock");
  if (lock.keeps_others_out()) {
    (void)entries();  // removes what killed processes left
    return;
  }
  throw std::invalid_argument(
      fmt::format("data.store.cache: {}: expected a folder on a file system with locks (flock), by "
                  "which the processes of a host share it, found none",
                  folder_.string()));
}

std::shared_ptr<const CachedFile> ShardCache::find(const CacheKey& key) const {
  const fs::path path = folder_ / cache_name(key);
  std::optional<FileLock> lock = FileLock::try_share_existing(path);
  if (!lock) return nullptr;
  if (lock->file().size() != key.bytes) {
    throw std::invalid_argument(
        fmt::format("{}: expected {} bytes as its name says, found {}: something else wrote into "
                    "the cache; remove the file",
                    path.string(), key.bytes, lock->file().size()));
  }
  ::futimens(lock->file().descriptor(), nullptr);  // used now
  return std::make_shared<const CachedFile>(CachedFile{std::move(*lock)});
}

/// All that is there but what nobody fetches any more, which goes. With the lock held.
std::vector<ShardCache::Entry> ShardCache::entries() const {
  std::vector<Entry> found;
  for (const fs::directory_entry& file : fs::directory_iterator(folder_)) {
    std::string name = file.path().filename().string();
    if (name.ends_with(".part") && key_of(name.substr(0, name.size() - 5))) {
      // Its fetcher holds the marker beside it.
      const fs::path marker = folder_ / (name.substr(0, name.size() - 5) + std::string(kFetching));
      if (!fs::exists(marker) || FileLock::try_exclude_existing(marker)) remove_path(file.path());
      continue;
    }
    Entry entry{file.path(), {}, name.ends_with(kFetching), {}};
    if (entry.marker) name.resize(name.size() - kFetching.size());
    const std::optional<CacheKey> key = key_of(name);
    if (!key) continue;
    entry.key = *key;
    std::error_code gone;
    entry.used = fs::last_write_time(entry.path, gone);
    if (gone) continue;
    if (entry.marker && FileLock::try_exclude_existing(entry.path)) {
      remove_path(entry.path);
      continue;
    }
    found.push_back(std::move(entry));
  }
  return found;
}

int64_t ShardCache::used_bytes() const {
  std::vector<Entry> whole;
  for (Entry& entry : entries()) {
    if (!entry.marker) whole.push_back(std::move(entry));
  }
  return taken_bytes(whole);
}

/// Removes the one that was used longest ago of those that nobody holds.
bool ShardCache::evict_one(std::vector<Entry>& by_age) const {
  for (size_t i = 0; i < by_age.size(); ++i) {
    if (by_age[i].marker) continue;
    if (const auto held = FileLock::try_exclude_existing(by_age[i].path)) {
      remove_path(by_age[i].path);
      by_age.erase(by_age.begin() + static_cast<std::ptrdiff_t>(i));
      return true;
    }
  }
  return false;
}

bool ShardCache::make_room(const CacheKey& key) {
  std::vector<Entry> by_age = entries();
  std::sort(by_age.begin(), by_age.end(),
            [](const Entry& a, const Entry& b) { return a.used < b.used; });
  while (taken_bytes(by_age) + key.bytes > max_bytes_) {
    if (!evict_one(by_age)) return false;
  }
  return true;
}

std::variant<ShardCache::Refusal, std::unique_ptr<CacheWriter>> ShardCache::begin(
    const CacheKey& key) {
  const FileLock lock = FileLock::exclude(folder_ / "lock");
  if (fs::exists(folder_ / cache_name(key))) return Refusal::kThere;
  const fs::path marker_path = folder_ / (cache_name(key) + std::string(kFetching));
  if (fs::exists(marker_path) && !FileLock::try_exclude_existing(marker_path)) {
    return Refusal::kElsewhere;
  }
  if (!make_room(key)) return Refusal::kNoRoom;
  std::optional<FileLock> marker = FileLock::try_exclude(marker_path);
  if (!marker) return Refusal::kElsewhere;
  auto writer = std::make_unique<CacheWriter>(folder_, key, std::move(*marker));
  // Who held the marker before may have committed since the first look.
  if (fs::exists(folder_ / cache_name(key))) return Refusal::kThere;
  for (;;) {
    try {
      writer->reserve();
      return writer;
    } catch (const std::system_error& error) {
      // The disk has less room than the limit says: what can go makes some.
      std::vector<Entry> by_age = entries();
      std::sort(by_age.begin(), by_age.end(),
                [](const Entry& a, const Entry& b) { return a.used < b.used; });
      if (error.code().value() != ENOSPC || !evict_one(by_age)) throw;
    }
  }
}

}  // namespace phalanx
