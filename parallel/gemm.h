#pragma once
// The three products of a linear layer y = x W^T, W [out, in]: the one place where the model
// multiplies matrices, so that the path that is fast on the machine at hand is chosen here.
// Local. Stream: the current one. Types: x, dy and W in the compute dtype; weight gradients fp32.
// Shapes: N tokens, I in, O out; inputs may be strided in rows, their columns are contiguous.
#include <ATen/core/Tensor.h>

namespace phalanx {

/// y_NO = x_NI W_OI^T.
at::Tensor linear_forward(const at::Tensor& x_NI, const at::Tensor& weight_OI);

/// dx_NI = dy_NO W_OI.
at::Tensor linear_backward_input(const at::Tensor& dy_NO, const at::Tensor& weight_OI);
/// dx_NI += dy_NO W_OI.
void linear_backward_input_add(const at::Tensor& dx_NI, const at::Tensor& dy_NO,
                               const at::Tensor& weight_OI);

/// dweight_OI (fp32) += dy_NO^T x_NI.
void linear_backward_weight(const at::Tensor& dweight_OI, const at::Tensor& dy_NO,
                            const at::Tensor& x_NI);

}  // namespace phalanx
