#pragma once
// Dividing whole things fairly: the method of largest remainders, ties to the lower index (sources
// lie in name order). Local, pure. SEMANTICS.md sections 2 and 4.
#include <cstdint>
#include <span>
#include <vector>

namespace phalanx {

/// Fixed-point one of weights and debts: 2^32 is a whole row.
inline constexpr int64_t kUnit = int64_t{1} << 32;

/// Parts of `total` (at most 2^40) in proportion to `weights` (each at most 2^40, sum > 0).
std::vector<int64_t> apportion(int64_t total, std::span<const int64_t> weights);

/// Divides the rows of one block. `due` holds what each source is owed at the block's end and
/// `share` its part of the block, both in 1/2^32 rows; `limit` the rows it may still give (empty:
/// no limit). Writes the rows to `rows` and leaves in `due` what stays owed. False if the limits do
/// not leave room for all rows.
class BlockDivider {
 public:
  bool divide(int64_t num_rows, std::span<const int64_t> share, std::span<const int64_t> limit,
              std::span<int64_t> due, std::span<int32_t> rows);

 private:
  bool hand_out(int64_t left, std::span<const int64_t> share, std::span<const int64_t> limit,
                std::span<const int64_t> due, std::span<int32_t> rows);
  std::vector<int64_t> order_;  // scratch: remainder and place in one integer
};

}  // namespace phalanx
