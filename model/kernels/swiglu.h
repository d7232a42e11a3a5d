#pragma once
// SwiGLU (arXiv 2002.05202): y = up * silu(gate), gate first as in Phi3MLP. fp32 inside, rounded
// once. Local. fp32 and bf16 take the fused kernel of CPU or CUDA, what has none the plain twin.
// Shapes: gate_up_N2f = [gate_Nf | up_Nf], rows contiguous; y_Nf.
#include <ATen/core/Tensor.h>

namespace phalanx {

at::Tensor swiglu(const at::Tensor& gate_up_N2f);
/// Gradient with respect to gate_up_N2f.
at::Tensor swiglu_backward(const at::Tensor& dy_Nf, const at::Tensor& gate_up_N2f);

at::Tensor swiglu_plain(const at::Tensor& gate_up_N2f);
at::Tensor swiglu_backward_plain(const at::Tensor& dy_Nf, const at::Tensor& gate_up_N2f);

}  // namespace phalanx
