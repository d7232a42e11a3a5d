#pragma once
// Ends what hangs: a thread that looks at this rank's flight recorder and acts when nothing was
// recorded for longer than the phase allows, or when the launcher is gone.
//
// Local. The thread makes no MPI and no CUDA calls and waits for no lock of any other thread's
// making, so it works whatever the rank is stuck in. Time in which the process itself was not run
// (stopped, the machine asleep) counts for nothing.
// Threads: set_limits() from any. Actions run on the watchdog's thread and normally do not return;
// if one does, it is not taken again. The destructor ends the thread. Ownership: the recorder and
// what the actions refer to must outlive the watchdog.
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "parallel/flight_recorder.h"
#include "parallel/watchdog_limits.h"

namespace phalanx {

/// What applies to a rank in this state, in seconds; 0: nothing.
double limit_seconds(const FlightSnapshot& state, const WatchdogLimits& limits);

struct WatchdogActions {
  std::function<void(double silent_seconds)> on_hang;
  std::function<bool()> is_orphaned;  // asked some times a second
  std::function<void()> on_orphaned;
};

class Watchdog {
 public:
  Watchdog(FlightRecorder& recorder, WatchdogActions actions, const WatchdogLimits& limits);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  void set_limits(const WatchdogLimits& limits);

 private:
  void watch();
  void look(int64_t awake_since_ns);

  FlightRecorder& recorder_;
  WatchdogActions actions_;
  std::mutex mutex_;
  std::condition_variable ended_;
  WatchdogLimits limits_;                         // guarded by mutex_
  bool end_ = false;                              // guarded by mutex_
  bool hang_seen_ = false, orphan_seen_ = false;  // of the thread
  std::thread thread_;
};

}  // namespace phalanx
