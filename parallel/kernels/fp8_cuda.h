#pragma once
// fp8 on CUDA: scaling and rounding to e4m3, and the product that is added to an fp32 matrix.
// Local; on the current stream. In a build without CUDA no_vocab_rows_cuda.cc implements it, and
// throws.
#include <ATen/core/Tensor.h>

namespace phalanx {

/// x (fp32 or bf16, contiguous matrix) in e4m3 as it is, or with rows and columns exchanged.
/// `scale` (fp32, contiguous) is set: one element, or one for each row of the result. One pass over
/// x for the scales and one for the values.
at::Tensor to_fp8_cuda(const at::Tensor& x_RC, bool transpose, const at::Tensor& scale);

/// May fp8_add_product_cuda() write to it? cuBLASLt wants rows that begin at multiples of 16 bytes.
bool takes_fp8_product(const at::Tensor& sum_MN);
/// sum_MN (fp32, its columns contiguous) += a_MK b_NK^T, values e4m3 and contiguous, scales of both
/// one element or both one for each of their rows (compute capability 9.0). Without fast
/// accumulation. Errors of cuBLASLt: c10::Error.
void fp8_add_product_cuda(const at::Tensor& sum_MN, const at::Tensor& a_MK,
                          const at::Tensor& a_scale, const at::Tensor& b_NK,
                          const at::Tensor& b_scale);

}  // namespace phalanx
