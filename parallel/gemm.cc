#include "parallel/gemm.h"

#include <ATen/ops/mm.h>

namespace phalanx {

at::Tensor linear_forward(const at::Tensor& x_NI, const at::Tensor& weight_OI) {
  return at::mm(x_NI, weight_OI.t());
}

at::Tensor linear_backward_input(const at::Tensor& dy_NO, const at::Tensor& weight_OI) {
  return at::mm(dy_NO, weight_OI);
}

void linear_backward_input_add(const at::Tensor& dx_NI, const at::Tensor& dy_NO,
                               const at::Tensor& weight_OI) {
  dx_NI.addmm_(dy_NO, weight_OI);
}

void linear_backward_weight(const at::Tensor& dweight_OI, const at::Tensor& dy_NO,
                            const at::Tensor& x_NI) {
  if (dy_NO.scalar_type() == at::kFloat) {
    dweight_OI.addmm_(dy_NO.t(), x_NI);
  } else {
    // Products are summed over tokens in fp32 inside the GEMM and rounded once a call.
    dweight_OI.add_(at::mm(dy_NO.t(), x_NI));
  }
}

}  // namespace phalanx
