#pragma once
// The three products of a linear layer in fp8: both factors in e4m3 (arXiv 2209.05433), scaled by
// their largest magnitude at that moment, sums in fp32, the result rounded once to the compute type
// (weight gradients: added in fp32). A scale is that of a whole matrix (Products::kFp8), or of each
// row and column that a product sums along (kFp8Rowwise): an outlier then coarsens its own row
// alone. Weights, activations and gradients stay in the compute type outside, and nothing in fp8
// outlives a product: kept weights would take two more bytes a parameter to save some 5 % of a
// layer's time at 4,096 tokens.
// On CUDA by cuBLASLt (`_scaled_mm`; compute capability 8.9 or later, rowwise 9.0); elsewhere the
// same rounding followed by an fp32 product, which shows on any machine what fp8 costs in accuracy.
// Local. Stream: the current one; the host does not wait for the scales.
// Shapes: N tokens, I in, O out. cuBLASLt wants O and I, and N for weight gradients, to be
// multiples of 16; a product of other sizes is computed as in gemm.h. takes_fp8() tells beforehand.
#include <ATen/core/Tensor.h>

#include "parallel/gemm.h"
#include "parallel/products.h"

namespace phalanx {

inline constexpr int64_t kFp8Unit = 16;  // elements that sizes are multiples of
/// Is a product of rows of `depth` elements, into rows of `columns`, computed in fp8? Forward and
/// for the input's gradient these are I and O, for the weight's N and I.
inline bool takes_fp8(int64_t depth, int64_t columns) {
  return depth > 0 && depth % kFp8Unit == 0 && columns % kFp8Unit == 0;
}

at::Tensor linear_forward(const at::Tensor& x_NI, const at::Tensor& weight_OI, Products products);
at::Tensor linear_backward_input(const at::Tensor& dy_NO, const at::Tensor& weight_OI,
                                 Products products);
/// dweight_OI += dy_NO^T x_NI.
void linear_backward_weight(const at::Tensor& dweight_OI, const at::Tensor& dy_NO,
                            const at::Tensor& x_NI, Products products);

/// A matrix whose rows are summed along by a product: x = values * scale, to rounding. Of what is
/// all zero the scale is 1.
struct Fp8Tensor {
  at::Tensor values_RC;  // float8_e4m3fn
  at::Tensor scale;      // fp32; one element, or [R, 1]
};
enum class Fp8Layout { kAsItIs, kTransposed };
/// Of a matrix; rows are those of the result, so with kTransposed x's columns. The largest
/// magnitude becomes 448, the largest of e4m3. A value that is not finite makes a product not
/// finite.
Fp8Tensor to_fp8(const at::Tensor& x_RC, Fp8Layout layout = Fp8Layout::kAsItIs,
                 Fp8Scaling scaling = Fp8Scaling::kTensor);

}  // namespace phalanx
