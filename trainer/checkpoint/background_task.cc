#include "trainer/checkpoint/background_task.h"

#include <sys/resource.h>
#include <unistd.h>

#include <utility>

namespace phalanx {
namespace {

constexpr int kLowestPriority = 19;

}  // namespace

BackgroundTask::~BackgroundTask() {
  if (thread_.joinable()) thread_.join();
}

void BackgroundTask::start(std::function<void()> work, bool gently) {
  if (thread_.joinable()) thread_.join();
  error_ = nullptr;
  running_ = true;
  try {
    thread_ = std::thread([this, work = std::move(work), gently] { run(work, gently); });
  } catch (...) {  // no thread to be had
    error_ = std::current_exception();
    running_ = false;
  }
}

void BackgroundTask::run(const std::function<void()>& work, bool gently) {
  // On Linux a priority is a thread's; a refusal costs nothing but the courtesy.
  if (gently) ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kLowestPriority);
  try {
    work();
  } catch (...) {
    error_ = std::current_exception();
  }
  {
    const std::lock_guard lock(mutex_);
    running_ = false;
  }
  ended_.notify_all();
}

void BackgroundTask::wait_for(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  ended_.wait_for(lock, limit, [this] { return !running_; });
}

void BackgroundTask::rethrow() const {
  if (error_) std::rethrow_exception(error_);
}

}  // namespace phalanx
