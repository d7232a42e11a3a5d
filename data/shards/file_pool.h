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
#include <vector>

namespace phalanx {

/// Half of the usual limit of 1,024 descriptors a process: the rest is for communication and logs.
inline constexpr size_t kMaxOpenFiles = 512;

class FilePool {
 public:
  explicit FilePool(size_t max_files = kMaxOpenFiles) : max_files_(max_files) {}

  /// A number that keeps the files of one user apart from those of the others.
  [[nodiscard]] uint64_t new_user();

  /// The object that `user` knows as `index`: the one that is open, or what `open` makes, which may
  /// take its time: nobody waits for it. Two threads may both open it; one of the two is kept.
  template <class T>
  [[nodiscard]] std::shared_ptr<const T> get(uint64_t user, size_t index, size_t num_files,
                                             const std::function<std::shared_ptr<const T>()>& open);

  /// Closes what `user` has open besides the objects with these numbers, which rise.
  void keep_only(uint64_t user, const std::vector<size_t>& indices);
  /// Closes what nobody reads at the moment.
  void close_idle();

 private:
  using Key = std::pair<uint64_t, size_t>;
  struct Entry {
    Key key;
    size_t num_files;
    std::shared_ptr<const void> object;
  };

  std::shared_ptr<const void> find(const Key& key);
  std::shared_ptr<const void> keep(const Key& key, size_t num_files,
                                   std::shared_ptr<const void> object);
  void close_if(const std::function<bool(const Entry&)>& unwanted);
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
  const Key key{user, index};
  std::shared_ptr<const void> object = find(key);
  if (!object) {
    make_room(num_files);
    object = keep(key, num_files, open());
  }
  return std::static_pointer_cast<const T>(object);
}

}  // namespace phalanx
