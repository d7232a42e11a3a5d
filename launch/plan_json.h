#pragma once
// A plan for scripts: one JSON object, with the names of README.md. Pure text; local.
#include <string>

#include "data/mixture/plan_curve.h"
#include "trainer/run_config.h"

namespace phalanx {

std::string plan_json(const MixturePlan& plan, const PlanCurve& curve, const RunConfig& config);

}  // namespace phalanx
