#pragma once
// The open files of a whole run under one bound, whatever the number of sources and shards.
//
// Local. Any number of threads. Owned by whoever opens the data of a run and shared with its
// readers; what is least recently used is closed first. A file that a thread reads at that moment
// stays open until it is done, so the bound may be passed by the files in use.
// Unit: descriptors. Errors: those of the opening function; nothing is kept of a failed opening.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

namespace phalanx {

/// Half of the usual limit of 1,024 descriptors a process: the rest is for communication and logs.
inline constexpr size_t kMaxOpenFiles = 512;

class FilePool {
 public:
  explicit FilePool(size_t max_files = kMaxOpenFiles) : max_files_(max_files) {}

  /// A number that keeps the files of one user apart from those of the others.
  [[nodiscard]] uint64_t new_user();

  /// The object that `user` knows as `index`: the one that is open, or what `open` makes.
  template <class T>
  [[nodiscard]] std::shared_ptr<const T> get(uint64_t user, size_t index, size_t num_files,
                                             const std::function<std::shared_ptr<const T>()>& open);

 private:
  using Key = std::pair<uint64_t, size_t>;
  struct Entry {
    Key key;
    size_t num_files;
    std::shared_ptr<const void> object;
  };

  void make_room(size_t num_files);

  const size_t max_files_;
  std::mutex mutex_;          // guards the four below
  std::list<Entry> entries_;  // most recently used first
  std::map<Key, std::list<Entry>::iterator> places_;
  size_t num_open_ = 0;
  uint64_t num_users_ = 0;
};

template <class T>
std::shared_ptr<const T> FilePool::get(uint64_t user, size_t index, size_t num_files,
                                       const std::function<std::shared_ptr<const T>()>& open) {
  const std::lock_guard lock(mutex_);
  const Key key{user, index};
  if (const auto found = places_.find(key); found != places_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
    return std::static_pointer_cast<const T>(entries_.front().object);
  }
  make_room(num_files);
  std::shared_ptr<const T> object = open();
  entries_.push_front({key, num_files, object});
  places_[key] = entries_.begin();
  num_open_ += num_files;
  return object;
}

}  // namespace phalanx
