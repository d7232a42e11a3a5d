#pragma once
// What a run planned to read and what it read, stretch by stretch. Local.
#include "launch/report/run_summary.h"

namespace phalanx {

/// The shares that the plan of the run's newest segment wants, and tokens of an epoch. Opens the
/// manifests of the data; throws what opening them does.
void add_plan(RunSummary& run);

/// The shares that the steps took, in the stretches of the plan, or in equal ones without a plan.
void add_realised_mix(RunSummary& run);

}  // namespace phalanx
