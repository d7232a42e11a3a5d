#include "data/shards/file_pool.h"

namespace phalanx {

uint64_t FilePool::new_user() {
  const std::lock_guard lock(mutex_);
  return num_users_++;
}

void FilePool::make_room(size_t num_files) {
  while (!entries_.empty() && num_open_ + num_files > max_files_) {
    num_open_ -= entries_.back().num_files;
    places_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

}  // namespace phalanx
