#pragma once
// The one small control reduction before each step, by which all ranks act at the same step.
// Collective over `control`: every rank. Errors: those of the communicator.
#include <cstdint>

#include "parallel/communicator.h"

namespace phalanx {

/// What a rank brings; of all ranks: where one says so, and the most.
struct StepFlags {
  bool failed = false;    // to record the step before, or to make its batch
  bool no_batch = false;  // it failed to make one, or was told to stop while it waited for one
  bool stop = false;
  bool save = false;
  bool compare = false;      // the ranks' times
  bool saving = false;       // still writes or reads back its part of a save
  bool save_failed = false;  // has failed at it
  double data_wait_seconds = 0.0;
  int64_t peak_memory_bytes = 0;
};

[[nodiscard]] StepFlags agree_on_step(const StepFlags& mine, Communicator& control);

}  // namespace phalanx
