#pragma once
// A run's resources for scripts: one JSON object, its keys as in the README. Pure; local.
// Bytes, seconds and FLOPs are plain numbers.
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "trainer/planner/state_search.h"

namespace phalanx {

nlohmann::ordered_json resource_json(const RunPlan& plan, const Accelerator& accelerator);
nlohmann::ordered_json search_json(const MeshSearch& search,
                                   const std::vector<StateResult>& states);

}  // namespace phalanx
