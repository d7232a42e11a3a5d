#pragma once
// Causal grouped-query attention on heads that lie in one buffer, forward and backward, with an
// explicit map from query head to key-value head, so that a part of the heads may share unevenly
// (five query heads over two key-value heads). On CPU by our own blocks (flash_attention.h), on
// CUDA in bf16 by FlashAttention-2 (cuda_attention.h); elsewhere by LibTorch's other kernels, for
// which key and value heads are repeated, and whose gradients are summed in query-head order, in
// fp32. What no kernel computes is left to the oracle; attention_text() says so beforehand. Local.
// Stream: the current one. scale = head_dim^-0.5, no dropout. Source: FlashAttention
// (arXiv 2205.14135), as in ATen's scaled_dot_product_* operations.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace phalanx {

/// Tokens [begin, end) of one sequence that attend among themselves only.
struct Segment {
  int64_t sequence, begin, end;
};

struct AttentionShape {
  int64_t batch = 0;                 // B sequences
  int64_t length = 0;                // of T tokens
  int64_t head_dim = 0;              // H
  std::vector<int64_t> query_to_kv;  // query head -> key-value head, both local
  int64_t num_kv_heads = 0;
  std::vector<Segment> segments;    // empty: every sequence is one segment
  int64_t window = 0;               // > 0: a query sees itself and the window - 1 keys before it
  at::Tensor segment_offsets = {};  // of the segments, on their device; undefined: made when needed

  int64_t num_query_heads() const { return static_cast<int64_t>(query_to_kv.size()); }
};

/// Where in the N tokens each segment begins, and then N: int32 [segments + 1] on `device`. The
/// segments are those of all tokens, in order.
at::Tensor segment_offsets(const std::vector<Segment>& segments, int64_t length, at::Device device);

/// What the backward needs beside its inputs: output and log-sum-exp of each run of the kernel. Our
/// own is one run, whose output is o_NF itself.
struct AttentionSaved {
  struct Run {
    at::Tensor out_BhTH, logsumexp;
  };
  std::vector<Run> runs;
};

/// qkv_NF: rows of [query heads | key heads | value heads], N = B * T. Returns o_NF
/// (query heads side by side) and fills saved.
at::Tensor attention(const at::Tensor& qkv_NF, const AttentionShape& shape, AttentionSaved& saved);

/// Gradient with respect to qkv_NF.
at::Tensor attention_backward(const at::Tensor& do_NF, const at::Tensor& qkv_NF,
                              const AttentionShape& shape, const AttentionSaved& saved);

/// What computes attention() of such rows: our blocks, FlashAttention-2, LibTorch's other kernel
/// (every shape on CPU; on GPUs heads of a multiple of 4 features in fp32, of 8 in 16 bits, as its
/// instances are compiled), or the oracle.
enum class AttentionKernel { kPackedBlocks, kFlashAttention2, kLibrary, kPlain };
AttentionKernel attention_kernel(at::DeviceType device, at::ScalarType dtype, int64_t head_dim,
                                 int64_t window, int64_t length);

/// The same in words, for the log of a run, before its first step.
std::string attention_text(at::DeviceType device, at::ScalarType dtype, int64_t head_dim,
                           int64_t window, int64_t length);

/// The oracles: materialised scores, softmax in fp32 as Phi3Attention's eager path; the gradient in
/// fp32, rounded once.
at::Tensor attention_plain(const at::Tensor& qkv_NF, const AttentionShape& shape);
at::Tensor attention_backward_plain(const at::Tensor& do_NF, const at::Tensor& qkv_NF,
                                    const AttentionShape& shape);

}  // namespace phalanx
