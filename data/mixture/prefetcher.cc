#include "data/mixture/prefetcher.h"

#include <fmt/format.h>

#include <chrono>
#include <stdexcept>
#include <utility>

namespace phalanx {
namespace {

size_t checked_num_ahead(int64_t num_ahead) {
  if (num_ahead < 1) {
    throw std::invalid_argument(
        fmt::format("batches to read ahead: expected at least 1, found {}", num_ahead));
  }
  return static_cast<size_t>(num_ahead);
}

}  // namespace

Prefetcher::Prefetcher(BatchLoader loader, int64_t num_ahead)
    : loader_(std::move(loader)),
      num_ahead_(checked_num_ahead(num_ahead)),
      reader_([this] { read_ahead(); }) {}

Prefetcher::~Prefetcher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  reader_.join();
}

void Prefetcher::read_ahead() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stop_ || ready_.size() < num_ahead_; });
      if (stop_) return;
    }
    std::exception_ptr error;
    try {
      Batch batch = loader_.next();
      const std::lock_guard lock(mutex_);
      ready_.push_back(std::move(batch));
    } catch (...) {
      error = std::current_exception();
    }
    if (error) {
      const std::lock_guard lock(mutex_);
      error_ = error;
    }
    changed_.notify_all();
    if (error) return;
  }
}

Batch Prefetcher::next() {
  const auto begin = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return error_ || !ready_.empty(); });
  waited_seconds_ +=
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (ready_.empty()) std::rethrow_exception(error_);
  Batch batch = std::move(ready_.front());
  ready_.pop_front();
  changed_.notify_all();
  return batch;
}

}  // namespace phalanx
