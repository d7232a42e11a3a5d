#pragma once
// The three products of a linear layer y = x W^T, W [out, in]: the one place where the model
// multiplies matrices, so that the path that is fast on the machine at hand is chosen here.
// On CPU, fp32 and bf16 take our packed product (kernels/packed_gemm.h); without AVX512-BF16 it
// widens bf16 to fp32 as it packs. Elsewhere LibTorch's. The path follows from device, type and
// processor only, never from sizes.
// Local. Stream: the current one. Types: x, dy and W in the compute dtype; weight gradients fp32.
// Sums in fp32, rounded once. The bits of our own products do not depend on the number of threads.
// Shapes: N tokens, I in, O out; inputs may be strided in rows, their columns are contiguous.
#include <ATen/core/Tensor.h>

#include <string>

namespace phalanx {

/// y_NO = x_NI W_OI^T.
at::Tensor linear_forward(const at::Tensor& x_NI, const at::Tensor& weight_OI);

/// dx_NI = dy_NO W_OI.
at::Tensor linear_backward_input(const at::Tensor& dy_NO, const at::Tensor& weight_OI);
/// dx_NI += dy_NO W_OI; the sum is rounded once.
void linear_backward_input_add(const at::Tensor& dx_NI, const at::Tensor& dy_NO,
                               const at::Tensor& weight_OI);

/// dweight_OI (fp32) += dy_NO^T x_NI.
void linear_backward_weight(const at::Tensor& dweight_OI, const at::Tensor& dy_NO,
                            const at::Tensor& x_NI);

/// Which products the CPU gets for this type, for the log: `packed AVX2 panels`, ... A type that
/// the processor cannot multiply itself is said to be widened.
std::string cpu_products_text(at::ScalarType dtype);

/// The oracles, by LibTorch, for any device.
at::Tensor linear_forward_plain(const at::Tensor& x_NI, const at::Tensor& weight_OI);
at::Tensor linear_backward_input_plain(const at::Tensor& dy_NO, const at::Tensor& weight_OI);
void linear_backward_weight_plain(const at::Tensor& dweight_OI, const at::Tensor& dy_NO,
                                  const at::Tensor& x_NI);

}  // namespace phalanx
