#pragma once
// Rules of what a run keeps in bf16 and where it keeps it. Local, pure.
#include "configs/config_tree.h"
#include "configs/read_config.h"

namespace phalanx {

/// Adds every violation.
void check_kept_types(const ResolvedConfig& config, Problems& problems);

}  // namespace phalanx
