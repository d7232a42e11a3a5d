#include "data/mixture/prefetcher.h"

#include <fmt/format.h>

#include <chrono>
#include <stdexcept>
#include <utility>

namespace phalanx {
namespace {

constexpr std::chrono::milliseconds kWakeUps{10};
constexpr double kLongWait = 3600;

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
      read_ahead_(loader_.read_ahead(steps_at_hand(num_ahead))),
      reader_([this] { run(); }) {}

Prefetcher::~Prefetcher() {
  std::unique_lock lock(mutex_);
  stop_ = true;
  changed_.notify_all();
  // More than once: the reader may have been just about to wait.
  while (!changed_.wait_for(lock, kWakeUps, [this] { return ended_; })) {
    lock.unlock();
    read_ahead_.stop_waiting();
    lock.lock();
  }
  lock.unlock();
  reader_.join();
}

void Prefetcher::run() {
  read_batches();
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

void Prefetcher::read_batches() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stop_ || ready_.size() < num_ahead_; });
      if (stop_) return;
    }
    std::exception_ptr error;
    try {
      if (!loader_.done()) read_ahead_.expect(loader_.cursor());
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
  for (;;) {
    if (std::optional<Batch> batch = next_within(kLongWait)) return std::move(*batch);
  }
}

std::optional<Batch> Prefetcher::next_within(double seconds) {
  const auto begin = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  const bool news = changed_.wait_for(lock, std::chrono::duration<double>(seconds),
                                      [this] { return has_news(); });
  waited_seconds_ +=
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return news ? std::optional<Batch>(take()) : std::nullopt;
}

/// With the mutex held.
Batch Prefetcher::take() {
  if (ready_.empty()) std::rethrow_exception(error_);
  Batch batch = std::move(ready_.front());
  ready_.pop_front();
  changed_.notify_all();
  return batch;
}

}  // namespace phalanx
