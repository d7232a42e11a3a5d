#pragma once
// Attention on CUDA by the FlashAttention-2 kernels of LibTorch (arXiv 2307.08691): grouped heads
// as they are, documents of any number and length in one call, a sliding window. Where query heads
// do not fall evenly on key-value heads, those are repeated and their gradients summed in
// query-head order. Local; on the current stream; the host does not wait. Without atomics in the
// backward where LibTorch is told to be deterministic, as a run with `reproducible` does.
#include <ATen/core/Tensor.h>

#include "model/kernels/attention_core.h"

namespace phalanx {

/// bf16 on a GPU, head_dim a multiple of 8 up to 256.
bool has_cuda_flash_attention(at::DeviceType device, at::ScalarType dtype, int64_t head_dim);
inline bool has_cuda_flash_attention(const at::Tensor& qkv_NF, const AttentionShape& shape) {
  return has_cuda_flash_attention(qkv_NF.device().type(), qkv_NF.scalar_type(), shape.head_dim);
}

/// As attention() and attention_backward().
at::Tensor cuda_flash_attention(const at::Tensor& qkv_NF, const AttentionShape& shape,
                                AttentionSaved& saved);
at::Tensor cuda_flash_attention_backward(const at::Tensor& do_NF, const at::Tensor& qkv_NF,
                                         const AttentionShape& shape, const AttentionSaved& saved);

}  // namespace phalanx
