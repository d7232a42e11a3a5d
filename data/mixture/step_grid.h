#pragma once
// Where stages, phases and steps begin and end, in rows. Local, pure. SEMANTICS.md section 1.
#include <cstdint>
#include <vector>

#include "data/mixture/mixture_plan.h"

namespace phalanx {

struct StepGrid {
  std::vector<StepSpan> steps;
  std::vector<PlanPhase>
      phases;  // every phase, in rows of the run; those before the start are empty
};

[[nodiscard]] StepGrid make_step_grid(const Curriculum& curriculum, int64_t start_row,
                                      int64_t start_step);

}  // namespace phalanx
