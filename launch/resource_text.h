#pragma once
// A run's resources as people read them: memory by category, the step and its collectives, the
// budget, meshes that fit. Pure text; local. Sizes are powers of 2, times seconds.
#include <string>
#include <vector>

#include "trainer/planner/state_search.h"

namespace phalanx {

/// Memory of a rank against what is there; `limit` is what a plan may fill of `available`.
std::string memory_text(const MemoryPlan& memory, int64_t available, int64_t limit);

std::string resource_text(const RunPlan& plan, const Accelerator& accelerator);

/// The first of them, and why other sizes are out.
std::string search_text(const MeshSearch& search, const Accelerator& accelerator);

/// What may be kept in other ways, and what would fit then.
std::string states_text(const std::vector<StateResult>& states);

/// `12.30 GiB`, `4.20 MiB`.
std::string size_text(double bytes);

}  // namespace phalanx
