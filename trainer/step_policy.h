#pragma once
// What follows a step whose loss or gradient norm was not as it should be. Local, pure, the same on
// every rank.
#include <cstdint>
#include <string>

#include "trainer/run_config.h"
#include "trainer/train_step.h"

namespace phalanx {

/// Where a run stands after a step.
struct StepPlace {
  int64_t step = 0;  // from 1
  int64_t skipped_in_a_row = 0;
  int64_t roll_backs = 0;  // so far
  bool has_checkpoint = false;
  bool is_last = false;  // of the run: there is nothing left to go back for
};

/// kRollBack: to its newest checkpoint.
enum class NextMove { kGoOn, kRollBack, kEnd };

struct AfterStep {
  NextMove move = NextMove::kGoOn;
  std::string reason;  // why it ends
};

AfterStep after_step(const StepResult& result, const StepPlace& place, const NumbersConfig& config);

}  // namespace phalanx
