#pragma once
// What the step just done means for the plan, the intervals and the ledger of a run. Local, pure.
#include <string>
#include <vector>

#include "data/mixture/mixture_plan.h"
#include "trainer/metrics/metrics.h"
#include "trainer/run_config.h"
#include "trainer/train_state.h"

namespace phalanx {

/// Has the last of `num_steps` steps taken the last row of a phase?
[[nodiscard]] bool ends_phase(const MixturePlan& plan, int64_t num_steps);

/// Is a multiple of `interval` at the state's step, or between `tokens_before` and its tokens?
[[nodiscard]] bool crosses(const Duration& interval, const TrainState& state,
                           int64_t tokens_before);

/// Tokens of each source, from the ledger before and after the step, so that metrics and
/// checkpoints say the same.
void count_sources(const std::vector<std::string>& sources, const Cursor& before,
                   const Cursor& after, StepRecord& record);

}  // namespace phalanx
