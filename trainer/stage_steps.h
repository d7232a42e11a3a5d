#pragma once
// The steps of a stage by itself, from its configuration alone. Pure, local.
#include <cstdint>
#include <vector>

#include "trainer/run_config.h"

namespace phalanx {

/// Consecutive steps of equal size; rows count from the start of the stage.
struct StageSteps {
  int64_t first_row = 0;
  int64_t end_row = 0;
  int64_t rows_per_step = 1;
};

/// As the stage's batch sizes and phases make them.
std::vector<StageSteps> steps_of(const StageConfig& stage);

}  // namespace phalanx
