#pragma once
// The order of the draws inside one block: earliest deadline first. Local, pure; O(log K) a row.
// After p of the block's B rows a source with n of them has given floor(p n / B) or ceil(p n / B).
// SEMANTICS.md section 6.
#include <cstdint>
#include <span>
#include <vector>

namespace phalanx {

/// The source of each row. `counts` (rows of each source) may hold zeros; their sum is the block.
[[nodiscard]] std::vector<uint16_t> draw_block(std::span<const int64_t> counts);

}  // namespace phalanx
