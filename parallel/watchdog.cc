#include "parallel/watchdog.h"

#include <algorithm>
#include <csignal>
#include <utility>

namespace phalanx {
namespace {

constexpr std::chrono::milliseconds kPoll{200};
// A thread that slept for so much longer than it wanted was not run.
constexpr int64_t kAsleepNs = 2'000'000'000;
constexpr double kLeastAutomatic = 60.0;
constexpr double kSlowestSteps = 10.0;
constexpr double kNanosecond = 1e-9;

}  // namespace

double limit_seconds(const FlightSnapshot& state, const WatchdogLimits& limits) {
  switch (state.phase) {
    case RunPhase::kEvaluate:
      return limits.evaluate;
    case RunPhase::kSave:
      return limits.save;
    case RunPhase::kTrain:
      break;
    default:
      return limits.start;
  }
  if (limits.train && *limits.train == 0) return 0;
  if (state.steps_done == 0) return limits.start;
  if (limits.train) return *limits.train;
  return std::max(kLeastAutomatic, kSlowestSteps * double(state.slowest_step_ns) * kNanosecond);
}

Watchdog::Watchdog(FlightRecorder& recorder, WatchdogActions actions, const WatchdogLimits& limits)
    : recorder_(recorder), actions_(std::move(actions)), limits_(limits) {
  // Signals are for the program's own threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { watch(); });
  pthread_setname_np(thread_.native_handle(), "watchdog");
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_all();
  thread_.join();
}

void Watchdog::set_limits(const WatchdogLimits& limits) {
  const std::lock_guard lock(mutex_);
  limits_ = limits;
}

void Watchdog::watch() {
  int64_t last_look_ns = flight_now_ns(), awake_since_ns = last_look_ns;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      if (ended_.wait_for(lock, kPoll, [&] { return end_; })) return;
    }
    const int64_t now = flight_now_ns();
    if (now - last_look_ns > kAsleepNs) awake_since_ns = now;
    last_look_ns = now;
    look(awake_since_ns);
  }
}

void Watchdog::look(int64_t awake_since_ns) {
  if (!orphan_seen_ && actions_.is_orphaned && actions_.is_orphaned()) {
    orphan_seen_ = true;
    actions_.on_orphaned();
  }
  const FlightSnapshot state = recorder_.snapshot();
  double limit = 0;
  {
    const std::lock_guard lock(mutex_);
    limit = limit_seconds(state, limits_);
  }
  const int64_t since = std::max(state.progress_ns, awake_since_ns);
  const double silent = double(flight_now_ns() - since) * kNanosecond;
  if (limit == 0 || silent <= limit || hang_seen_) return;
  hang_seen_ = true;
  actions_.on_hang(silent);
}

}  // namespace phalanx
