#pragma once
// Rules of what only a GPU does: fp8 and graphs. Local, pure.
#include <cstdint>

#include "configs/config_tree.h"
#include "configs/read_config.h"

namespace phalanx {

/// Adds every violation. num_ranks 0: not known.
void check_cuda(const ResolvedConfig& config, int64_t num_ranks, Problems& problems);

}  // namespace phalanx
