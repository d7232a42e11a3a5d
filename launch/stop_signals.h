#pragma once
// SIGUSR1 (save and stop) and SIGUSR2 (save and go on) as something to ask for, not handlers: the
// signals are blocked and read from a descriptor, so nothing global is touched and nothing is
// interrupted. mpirun passes both on to the ranks.
// Threads: make it before any other thread exists, since threads inherit the blocked set.
// Local. Errors: std::system_error.
#include "trainer/trainer.h"

namespace phalanx {

class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// What has arrived since the last call.
  Requests poll();

 private:
  int descriptor_;
};

}  // namespace phalanx
