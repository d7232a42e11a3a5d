#pragma once
// Rules of a stage's learning rate: warm-up and decay fit the stage, counted in the steps that its
// batch sizes make. Local, pure.
#include <cstddef>

#include "configs/config_tree.h"
#include "configs/read_config.h"

namespace phalanx {

/// Adds every violation in stages[index], whose tokens must sum to at most 2^62.
void check_learning_rate(const ResolvedConfig& config, std::size_t index, Problems& problems);

}  // namespace phalanx
