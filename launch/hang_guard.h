#pragma once
// The watchdog of a training process, and what it does: on a hang a note in RUN/hangs, one message
// of the lowest rank that sees it, and exit code 76; without its launcher, the end.
//
// Made before MPI, so that a start that hangs ends too. meet() is collective over the session's
// ranks; the rest is local. Owns the flight recorder: it must outlive the session and everything
// that records. Ends the process from a thread of its own, without unwinding.
#include <atomic>
#include <filesystem>
#include <memory>

#include "parallel/flight_peers.h"
#include "parallel/flight_recorder.h"
#include "parallel/launcher_watch.h"
#include "parallel/session.h"
#include "parallel/watchdog.h"

namespace phalanx {

class HangGuard {
 public:
  HangGuard();

  FlightRecorder& recorder() { return recorder_; }
  void meet(Session& session);
  void set_limits(const WatchdogLimits& limits) { watchdog_.set_limits(limits); }
  /// Where notes go from now on.
  void set_folder(const std::filesystem::path& hangs);

 private:
  [[noreturn]] void end_hang(double silent_seconds);
  void report(double silent_seconds);
  std::vector<RankState> visible_states() const;
  int rank() const;  // 0: not known yet
  bool another_spoke(int mine) const;
  void hear_speaker(int mine) const;

  FlightRecorder recorder_;
  LauncherWatch launcher_;
  FlightPeers peers_;
  std::filesystem::path folder_;
  std::atomic<bool> has_peers_{false}, has_folder_{false};  // then the two stay as they are
  Watchdog watchdog_;                                       // the last: its thread uses the others
};

}  // namespace phalanx
