#pragma once
// Rules between fields, checked before anything is allocated: batch arithmetic, splits of heads,
// sums of mixtures, lengths of ramps and warm-ups. Local, pure: the same on every rank.
#include <cstdint>

#include "configs/config_tree.h"
#include "configs/read_config.h"

namespace phalanx {

/// Adds every violation; `num_ranks` 0: the number of ranks is not known.
void check_rules(const ResolvedConfig& config, int64_t num_ranks, Problems& problems);

}  // namespace phalanx
