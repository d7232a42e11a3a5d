#pragma once
// One piece of work at a time on a thread of its own, at the lowest priority, so that a thread that
// computes on the same core hardly feels it.
//
// Local; one owner. Nothing of the work is cut short: the destructor waits for it. Errors: what the
// work throws is kept for rethrow(), as is that no thread could be started.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace phalanx {

class BackgroundTask {
 public:
  BackgroundTask() = default;
  ~BackgroundTask();
  BackgroundTask(const BackgroundTask&) = delete;
  BackgroundTask& operator=(const BackgroundTask&) = delete;

  /// Precondition: not running(). With `gently` at the lowest priority.
  void start(std::function<void()> work, bool gently);
  [[nodiscard]] bool running() const { return running_; }
  /// Until the work has ended, but no longer than `limit`.
  void wait_for(std::chrono::milliseconds limit);
  /// Did the last work fail? Precondition: not running().
  [[nodiscard]] bool failed() const { return error_ != nullptr; }
  /// Throws what the last work threw, if it did.
  void rethrow() const;

 private:
  void run(const std::function<void()>& work, bool gently);

  std::mutex mutex_;
  std::condition_variable ended_;
  std::atomic<bool> running_{false};
  std::exception_ptr error_;  // written while running, read afterwards
  std::thread thread_;
};

}  // namespace phalanx
