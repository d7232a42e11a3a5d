#pragma once
// The row kernels of CUDA behind rms_norm.h, rope.h and swiglu.h, which say what they compute: a
// block a row, 16-byte accesses where rows allow them, sums in fp32 in a fixed order without
// atomics. Local; on the current stream. Implemented by rms_norm_cuda.cu, rope_cuda.cu and
// swiglu_cuda.cu, and in a build without CUDA by no_row_kernels_cuda.cc, where no tensor is on CUDA
// and none is called. Tensors are those of kernels::has_row_kernel() (row_types.h).
#include <ATen/core/Tensor.h>

#include "model/kernels/rms_norm.h"
#include "model/kernels/rope.h"

namespace phalanx {

RmsNormOutput rms_norm_cuda(const at::Tensor& x_ND, const at::Tensor& weight_D, double eps);
AddRmsNormOutput add_rms_norm_cuda(const at::Tensor& x_ND, const at::Tensor& delta_ND,
                                   const at::Tensor& weight_D, double eps);
/// The sum with dresidual_ND is made before the one rounding.
RmsNormGradients rms_norm_backward_cuda(const at::Tensor& dy_ND, const at::Tensor& x_ND,
                                        const at::Tensor& weight_D, const at::Tensor& rstd_N,
                                        const at::Tensor& dresidual_ND);

void rope_cuda_(const at::Tensor& x_NF, int64_t num_heads, const RopeTable& table,
                const at::Tensor& positions_N, float sign);

at::Tensor swiglu_cuda(const at::Tensor& gate_up_N2f);
at::Tensor swiglu_backward_cuda(const at::Tensor& dy_Nf, const at::Tensor& gate_up_N2f);

}  // namespace phalanx
