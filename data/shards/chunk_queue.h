#pragma once
// Chunks of input records on their way from the thread that reads files to those that parse them.
//
// Threads: any number on each side; one mutex. Memory: chunks of at most `max_bytes` together, or
// one that is larger. close() ends the waiting on both sides.
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "data/shards/record_reader.h"

namespace phalanx {

struct QueuedChunk {
  uint64_t file = 0;
  std::unique_ptr<RecordChunk> chunk;
};

class ChunkQueue {
 public:
  explicit ChunkQueue(int64_t max_bytes) : max_bytes_(max_bytes) {}

  /// Waits for room. False: the queue was closed, and nothing was put in.
  [[nodiscard]] bool push(QueuedChunk item) {
    const int64_t size = item.chunk->bytes();
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return closed_ || items_.empty() || bytes_ + size <= max_bytes_; });
    if (closed_) return false;
    bytes_ += size;
    items_.push_back(std::move(item));
    filled_.notify_one();
    return true;
  }

  /// Waits for a chunk. Nothing: the queue was closed and is empty.
  [[nodiscard]] std::optional<QueuedChunk> pop() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [&] { return closed_ || !items_.empty(); });
    if (items_.empty()) return std::nullopt;
    QueuedChunk item = std::move(items_.front());
    items_.pop_front();
    bytes_ -= item.chunk->bytes();
    room_.notify_one();
    return item;
  }

  /// No more chunks; those inside can still be taken.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    filled_.notify_all();
    room_.notify_all();
  }

  /// No more chunks, and those inside are dropped: the work has failed.
  void cancel() {
    close();
    const std::lock_guard lock(mutex_);
    items_.clear();
  }

 private:
  const int64_t max_bytes_;
  std::mutex mutex_;
  std::condition_variable room_, filled_;
  std::deque<QueuedChunk> items_;  // guarded by mutex_, as all below
  int64_t bytes_ = 0;
  bool closed_ = false;
};

}  // namespace phalanx
