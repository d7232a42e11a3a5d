#pragma once
// Cross-entropy over rows of logits whose columns may be cut over the tensor axis: statistics of
// this part's columns first, the gradient in place once they are known of the whole row
// (Megatron-LM, arXiv 1909.08053, section 3). Local; what crosses the axis is the caller's.
// Contiguous fp32 and bf16 take the fused rows on CPU and CUDA (current stream), others the plain
// twins; same meaning.
// Sums in fp32 in a fixed order, whatever the number of threads.
// Shapes: c tokens, v this part's columns, of which the first is vocabulary row `first`; targets_c
// int64 in the whole vocabulary; mask_c bool: the token counts. A part may have no column at all.
#include <ATen/core/Tensor.h>

namespace phalanx {

/// fp32 [3, c]: the maximum (-inf without columns), the sum of exp(x - maximum), and the target's
/// logit, 0 where another part holds it.
at::Tensor cross_entropy_statistics(const at::Tensor& logits_cv, const at::Tensor& targets_c,
                                    int64_t first);

/// logits become d(sum of counted losses)/d(logits) = softmax - [target], 0 in rows that do not
/// count, whatever they hold. Statistics are those of the whole row.
void cross_entropy_gradient_(const at::Tensor& logits_cv, const at::Tensor& targets_c,
                             const at::Tensor& mask_c, int64_t first,
                             const at::Tensor& statistics_3c);

/// The oracles, in ATen operations, for any device.
at::Tensor cross_entropy_statistics_plain(const at::Tensor& logits_cv, const at::Tensor& targets_c,
                                          int64_t first);
void cross_entropy_gradient_plain_(const at::Tensor& logits_cv, const at::Tensor& targets_c,
                                   const at::Tensor& mask_c, int64_t first,
                                   const at::Tensor& statistics_3c);

}  // namespace phalanx
