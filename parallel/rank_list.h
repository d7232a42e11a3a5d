#pragma once
// Ranks in words. Local, pure.
#include <string>
#include <vector>

namespace phalanx {

/// {0, 1, 2, 5} -> "ranks 0-2, 5"; {3} -> "rank 3". In ascending order.
std::string ranks_text(const std::vector<int>& ranks);

}  // namespace phalanx
