#pragma once
// Scaling and rounding to e4m3 on CUDA, in one pass for the scale and one for the values. Local; on
// the current stream. In a build without CUDA no_vocab_rows_cuda.cc implements it, and throws.
#include <ATen/core/Tensor.h>

namespace phalanx {

/// x (fp32 or bf16, contiguous matrix) in e4m3 as it is, or with rows and columns exchanged.
/// `scale` (fp32, one element) is set.
at::Tensor to_fp8_cuda(const at::Tensor& x_RC, bool transpose, const at::Tensor& scale);

}  // namespace phalanx
