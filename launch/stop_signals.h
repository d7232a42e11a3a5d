#pragma once
// SIGUSR1 and SIGINT (save and stop) and SIGUSR2 (save and go on) as something to ask for, not
// handlers: the signals are blocked and read, so nothing global is touched and nothing is
// interrupted. mpirun passes USR1 and USR2 on to the ranks, but ends them at SIGINT; it is for a
// rank that was started alone. The second SIGINT ends the process as if none of this were there.
// Where SIGINT is ignored, as of a shell's background command, it stays so.
// Threads: make it before any other thread exists, since threads inherit the blocked set. One of
// its own waits for SIGINT, to answer at once.
// Local. Errors: std::system_error.
#include <atomic>
#include <stop_token>
#include <thread>

#include "trainer/trainer.h"

namespace phalanx {

class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// What has arrived since the last call, with the signal's name as the reason to stop.
  Requests poll();

 private:
  void wait_for_interrupt(const std::stop_token& done);

  int descriptor_;
  std::atomic<bool> interrupted_{false};
  std::jthread waiter_;
};

}  // namespace phalanx
