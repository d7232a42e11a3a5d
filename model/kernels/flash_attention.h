#pragma once
// Causal attention on the CPU by blocks, forward and backward, without scores in memory and without
// copies of key-value heads: keys and values of a head are packed once and serve all its query
// heads. Sums in fp32 for fp32 and bf16 alike; bf16 is widened as it is packed and results are
// rounded once. Local. Threads: those of at::parallel_for; a run of tokens of one key-value head is
// one thread's work, so the bits do not depend on their number (and B x key-value heads x documents
// bounds it). Memory: a thread holds 2 x T x H floats forward and 10 x T x H backward, T the
// longest run, until the call ends. Sources: FlashAttention (arXiv 2205.14135) and FlashAttention-2
// (2307.08691); the running maximum and sum are those of Milakov and Gimelshein (1805.02867).
#include <ATen/core/Tensor.h>

#include "model/kernels/attention_core.h"

namespace phalanx {

/// fp32 or bf16 on a processor with AVX2.
bool has_flash_attention(at::DeviceType device, at::ScalarType dtype);
inline bool has_flash_attention(const at::Tensor& qkv_NF) {
  return has_flash_attention(qkv_NF.device().type(), qkv_NF.scalar_type());
}

/// As attention(); fills o_NF, rows of query heads, and logsumexp_BhT (fp32).
void flash_attention(const at::Tensor& qkv_NF, const AttentionShape& shape, const at::Tensor& o_NF,
                     const at::Tensor& logsumexp_BhT);

/// Gradient with respect to qkv_NF.
at::Tensor flash_attention_backward(const at::Tensor& do_NF, const at::Tensor& qkv_NF,
                                    const at::Tensor& o_NF, const at::Tensor& logsumexp_BhT,
                                    const AttentionShape& shape);

}  // namespace phalanx
