#include "model/kernels/row_kernels_cuda.h"

namespace phalanx {

bool has_row_kernel(const at::Tensor& x) {
  return x.is_cuda() && x.is_contiguous() &&
         (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

}  // namespace phalanx
