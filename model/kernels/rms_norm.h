#pragma once
// RMSNorm (arXiv 1910.07467) as Phi3RMSNorm computes it: y = w * cast(x * rsqrt(mean(x^2) + eps)),
// statistics in fp32, rounded to the input's type before the weight is applied.
// Local. fp32 and bf16 take the fused kernel of CPU or CUDA, what has none the plain twin; same
// meaning.
// Shapes: x_ND, y_ND, weight_D of one type; rstd_N fp32. Rows contiguous.
#include <ATen/core/Tensor.h>

namespace phalanx {

struct RmsNormOutput {
  at::Tensor y_ND;
  at::Tensor rstd_N;
};

struct RmsNormGradients {
  at::Tensor dx_ND;
  at::Tensor dweight_D;  // fp32, summed over tokens in blocks of a fixed size
};

RmsNormOutput rms_norm(const at::Tensor& x_ND, const at::Tensor& weight_D, double eps);
/// Gradient with respect to x_ND plus dresidual_ND, that of the residual stream past the norm
/// (undefined: none), in one pass.
RmsNormGradients rms_norm_backward(const at::Tensor& dy_ND, const at::Tensor& x_ND,
                                   const at::Tensor& weight_D, const at::Tensor& rstd_N,
                                   const at::Tensor& dresidual_ND = {});

struct AddRmsNormOutput {
  at::Tensor h_ND;  // x + delta, rounded
  at::Tensor y_ND;  // norm(h)
  at::Tensor rstd_N;
};
/// The residual sum and the norm of it in one pass.
AddRmsNormOutput add_rms_norm(const at::Tensor& x_ND, const at::Tensor& delta_ND,
                              const at::Tensor& weight_D, double eps);

/// The oracles, in ATen operations, for any device.
RmsNormOutput rms_norm_plain(const at::Tensor& x_ND, const at::Tensor& weight_D, double eps);
RmsNormGradients rms_norm_backward_plain(const at::Tensor& dy_ND, const at::Tensor& x_ND,
                                         const at::Tensor& weight_D, const at::Tensor& rstd_N,
                                         const at::Tensor& dresidual_ND = {});
AddRmsNormOutput add_rms_norm_plain(const at::Tensor& x_ND, const at::Tensor& delta_ND,
                                    const at::Tensor& weight_D, double eps);

}  // namespace phalanx
