#pragma once
// What the step just done means for the plan, the intervals and the ledger of a run. Local, pure.
#include <string>

#include "data/mixture/mixture_plan.h"
#include "trainer/metrics/step_record.h"
#include "trainer/run_config.h"
#include "trainer/train_state.h"

namespace phalanx {

/// Has the last of `num_steps` steps taken the last row of a phase?
[[nodiscard]] bool ends_phase(const MixturePlan& plan, int64_t num_steps);

/// Is a multiple of `interval` at the state's step, or between `tokens_before` and its tokens?
[[nodiscard]] bool crosses(const Duration& interval, const TrainState& state,
                           int64_t tokens_before);

/// Where the run stands after a step of rows of `sequence_length`, as `state` counts it, when that
/// is, and the FLOPs of the step's tokens.
void note_place(const MixturePlan& plan, const TrainState& state, const Phi4Config& model,
                int64_t sequence_length, StepRecord& record);

/// What the source has given, over all sequence lengths, padding included.
[[nodiscard]] int64_t tokens_given(const Cursor& cursor, const std::string& source);

/// Tokens, planned weight and epochs of each source, from the ledger before and after the step, so
/// that metrics and checkpoints say the same.
void count_sources(const MixturePlan& plan, const Cursor& before, const Cursor& after,
                   StepRecord& record);

}  // namespace phalanx
