#pragma once
// A source in a store that brings nothing.
#include <condition_variable>
#include <mutex>
#include <stdexcept>

#include "tests/data/mixture/fake_source.h"

namespace phalanx::testing {

/// Its rows come only when somebody wakes up who waits for them, with an error.
class WaitingSource : public FakeSource {
 public:
  using FakeSource::FakeSource;
  void read(int64_t, Row&) const override {
    std::unique_lock lock(mutex_);
    const int64_t woken = woken_;
    waits_ = true;
    changed_.notify_all();
    changed_.wait(lock, [&] { return woken_ != woken; });
    throw std::runtime_error("woken up");
  }
  void stop_waiting() const override {
    const std::lock_guard lock(mutex_);
    ++woken_;
    changed_.notify_all();
  }
  void wait_for_a_reader() const {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waits_; });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable int64_t woken_ = 0;
  mutable bool waits_ = false;
};

}  // namespace phalanx::testing
