#pragma once
// Rules of `reproducible`: what a run must say, and leave, for the bits that it promises. Local,
// pure.
#include <cstdint>

#include "configs/config_tree.h"
#include "configs/read_config.h"

namespace phalanx {

/// Adds every violation. num_ranks 0: not known.
void check_reproducible(const ResolvedConfig& config, int64_t num_ranks, Problems& problems);

}  // namespace phalanx
