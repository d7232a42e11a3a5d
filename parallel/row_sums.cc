#include "parallel/row_sums.h"

#include <c10/util/Exception.h>

namespace phalanx {

at::Tensor sum_rows(const at::Tensor& rows_RM, SumOrder order) {
  TORCH_INTERNAL_ASSERT(order != SumOrder::kAny, "an order is asked for");
  const at::ScalarType dtype = rows_RM.scalar_type();
  const at::Tensor sums_RM = dtype == at::kBFloat16 ? rows_RM.to(at::kFloat) : rows_RM;
  const int64_t num_rows = rows_RM.size(0);
  if (order == SumOrder::kRankOrder) {
    for (int64_t row = 1; row < num_rows; ++row) sums_RM[0].add_(sums_RM[row]);
  } else {
    for (int64_t apart = 1; apart < num_rows; apart *= 2) {
      for (int64_t row = 0; row + apart < num_rows; row += 2 * apart) {
        sums_RM[row].add_(sums_RM[row + apart]);
      }
    }
  }
  return sums_RM[0].to(dtype);
}

}  // namespace phalanx
