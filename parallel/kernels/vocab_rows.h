#pragma once
// The kernels of a vocabulary that is cut by rows, on CUDA: cross-entropy over one part of the
// logits, and the gradient of an embedding. Local; on the current stream. Two files implement this
// header: cross_entropy_cuda.cu and embedding_gradient_cuda.cu, and in a build without CUDA
// no_vocab_rows_cuda.cc, whose functions throw std::invalid_argument.
// Shapes: c tokens, v rows of the vocabulary in this part, possibly none, of which `first` is the
// first. Logits (fp32, bf16) are contiguous; targets and indices int64.
#include <ATen/core/Tensor.h>

namespace phalanx {

/// As cross_entropy_statistics() (cross_entropy.h).
at::Tensor cross_entropy_statistics_cuda(const at::Tensor& logits_cv, const at::Tensor& targets_c,
                                         int64_t first);

/// As cross_entropy_gradient_() (cross_entropy.h).
void cross_entropy_gradient_cuda_(const at::Tensor& logits_cv, const at::Tensor& targets_c,
                                  const at::Tensor& mask_c, int64_t first,
                                  const at::Tensor& statistics_3c);

/// grad_RD[index_N[i], :] += value_ND[i, :] in order of i, without atomics, so that equal input
/// gives equal bits; indices outside [0, R) are left out. grad_RD fp32, rows contiguous.
void add_rows_cuda_(const at::Tensor& grad_RD, const at::Tensor& index_N,
                    const at::Tensor& value_ND);

}  // namespace phalanx
