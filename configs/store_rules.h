#pragma once
// Rules of where data sets lie: folders, or URLs that hold no secret. Local, pure.
#include "configs/config_tree.h"
#include "configs/read_config.h"

namespace phalanx {

/// Adds every violation.
void check_places(const ResolvedConfig& config, Problems& problems);

}  // namespace phalanx
