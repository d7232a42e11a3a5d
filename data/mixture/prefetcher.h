#pragma once
// Reads batches ahead on one thread, so that a step finds its data ready. Local.
// Sources are told which shards come next; a read that waits for one when the object ends is woken
// up.
// Threads: next() belongs to one caller; the loader belongs to the reading thread until
// destruction. Because the cursor rides in the batch, how far the reader ran ahead is seen nowhere.
// Errors: next() and next_within() rethrow what the loader threw, after the batches read before it,
// and again on every later call.
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "data/mixture/batch_loader.h"

namespace phalanx {

/// Of a training: one is read while another waits to be taken.
inline constexpr int64_t kBatchesAhead = 2;
/// Steps whose data the sources have at hand for so many batches: of those, of the one under way,
/// and one more, whose data come meanwhile.
constexpr int64_t steps_at_hand(int64_t num_ahead) { return num_ahead + 2; }

class Prefetcher {
 public:
  /// Keeps at most `num_ahead` (at least 1) batches.
  Prefetcher(BatchLoader loader, int64_t num_ahead);
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  [[nodiscard]] Batch next();
  /// Nothing if there is none after so many seconds.
  [[nodiscard]] std::optional<Batch> next_within(double seconds);
  /// Seconds that both have waited for data so far.
  double waited_seconds() const { return waited_seconds_; }

 private:
  void run();
  void read_batches();
  bool has_news() const { return error_ || !ready_.empty(); }
  Batch take();

  BatchLoader loader_;
  const size_t num_ahead_;
  ReadAhead read_ahead_;  // of the reading thread, but for stop_waiting()
  std::mutex mutex_;      // guards the five below
  std::condition_variable changed_;
  std::deque<Batch> ready_;
  std::exception_ptr error_;
  bool stop_ = false, ended_ = false;
  double waited_seconds_ = 0.0;  // of the caller's thread only
  std::thread reader_;           // last, so that it starts when all else is there
};

}  // namespace phalanx
