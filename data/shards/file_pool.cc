#include "data/shards/file_pool.h"

#include <algorithm>

namespace phalanx {

uint64_t FilePool::new_user() {
  const std::lock_guard lock(mutex_);
  return num_users_++;
}

std::shared_ptr<const void> FilePool::find(const Key& key) {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(key);
  if (found == places_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return entries_.front().object;
}

std::shared_ptr<const void> FilePool::keep(const Key& key, size_t num_files,
                                           std::shared_ptr<const void> object) {
  const std::lock_guard lock(mutex_);
  // Another thread may have been faster.
  if (const auto found = places_.find(key); found != places_.end()) return found->second->object;
  entries_.push_front({key, num_files, object});
  places_[key] = entries_.begin();
  num_open_ += num_files;
  return object;
}

void FilePool::close_if(const std::function<bool(const Entry&)>& unwanted) {
  const std::lock_guard lock(mutex_);
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    if (!unwanted(*entry)) {
      ++entry;
      continue;
    }
    num_open_ -= entry->num_files;
    places_.erase(entry->key);
    entry = entries_.erase(entry);
  }
}

void FilePool::keep_only(uint64_t user, const std::vector<size_t>& indices) {
  close_if([&](const Entry& entry) {
    return entry.key.first == user &&
           !std::binary_search(indices.begin(), indices.end(), entry.key.second);
  });
}

void FilePool::close_idle() {
  close_if([](const Entry& entry) { return entry.object.use_count() == 1; });
}

void FilePool::make_room(size_t num_files) {
  const std::lock_guard lock(mutex_);
  while (!entries_.empty() && num_open_ + num_files > max_files_) {
    num_open_ -= entries_.back().num_files;
    places_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

}  // namespace phalanx
