#include "model/kernels/cuda_attention.h"

#include <ATen/ops/_flash_attention_backward.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "model/kernels/head_groups.h"

namespace phalanx {
namespace {

/// Does query head i use key-value head i / (h / g), as the kernels take it?
bool shares_evenly(const AttentionShape& shape) {
  const int64_t h = shape.num_query_heads(), g = shape.num_kv_heads;
  if (h % g != 0) return false;
  for (int64_t i = 0; i < h; ++i) {
    if (shape.query_to_kv[static_cast<size_t>(i)] != i / (h / g)) return false;
  }
  return true;
}

/// Heads as the kernels take them: [N, heads, H] with the tokens at which documents begin, or
/// [B, T, heads, H] where every row is one.
struct FlashHeads {
  at::Tensor q, k, v;
  at::Tensor offsets;  // int32 [documents + 1]; undefined: whole rows
  int64_t longest = 0;
  std::optional<int64_t> keys_before;  // that a query sees; none: all
};

FlashHeads flash_heads(const at::Tensor& qkv_NF, const AttentionShape& shape) {
  const int64_t h = shape.num_query_heads(), g = shape.num_kv_heads;
  const at::Tensor heads_NhH = qkv_NF.view({qkv_NF.size(0), h + 2 * g, shape.head_dim});
  at::Tensor k = heads_NhH.narrow(1, h, g), v = heads_NhH.narrow(1, h + g, g);
  if (!shares_evenly(shape)) {
    k = repeat_heads(k, shape.query_to_kv);
    v = repeat_heads(v, shape.query_to_kv);
  }
  FlashHeads heads{heads_NhH.narrow(1, 0, h), k, v, {}, shape.length, {}};
  if (shape.window > 0) heads.keys_before = shape.window - 1;
  if (shape.segments.empty()) {
    for (at::Tensor* x : {&heads.q, &heads.k, &heads.v}) {
      *x = x->unflatten(0, {shape.batch, shape.length});
    }
    return heads;
  }
  heads.offsets = shape.segment_offsets.defined()
                      ? shape.segment_offsets
                      : segment_offsets(shape.segments, shape.length, qkv_NF.device());
  // Of documents of one token each the kernel would make another layout, which its backward does
  // not read.
  heads.longest = 2;
  for (const Segment& s : shape.segments) heads.longest = std::max(heads.longest, s.end - s.begin);
  return heads;
}

std::optional<at::Tensor> optional(const at::Tensor& x) {
  return x.defined() ? std::optional<at::Tensor>(x) : std::nullopt;
}

}  // namespace

bool has_cuda_flash_attention(at::DeviceType device, at::ScalarType dtype, int64_t head_dim) {
  return device == at::kCUDA && dtype == at::kBFloat16 && head_dim % 8 == 0 && head_dim <= 256;
}

at::Tensor cuda_flash_attention(const at::Tensor& qkv_NF, const AttentionShape& shape,
                                AttentionSaved& saved) {
  const FlashHeads heads = flash_heads(qkv_NF, shape);
  const auto result = at::_flash_attention_forward(
      heads.q, heads.k, heads.v, optional(heads.offsets), optional(heads.offsets), heads.longest,
      heads.longest, /*dropout_p=*/0.0, /*is_causal=*/true, /*return_debug_mask=*/false,
      /*scale=*/std::nullopt, heads.keys_before, /*window_size_right=*/std::nullopt);
  const at::Tensor o_NF = std::get<0>(result).reshape({qkv_NF.size(0), -1});
  saved.runs.push_back({o_NF, std::get<1>(result)});
  return o_NF;
}

at::Tensor cuda_flash_attention_backward(const at::Tensor& do_NF, const at::Tensor& qkv_NF,
                                         const AttentionShape& shape, const AttentionSaved& saved) {
  const FlashHeads heads = flash_heads(qkv_NF, shape);
  const AttentionSaved::Run& run = saved.runs.at(0);
  const auto [dq, dk, dv] = at::_flash_attention_backward(
      do_NF.reshape(heads.q.sizes()), heads.q, heads.k, heads.v, run.out_BhTH.view(heads.q.sizes()),
      run.logsumexp, heads.offsets, heads.offsets, heads.longest, heads.longest, /*dropout_p=*/0.0,
      /*is_causal=*/true, /*rng_state=*/{},
      /*unused=*/{}, /*scale=*/std::nullopt, heads.keys_before,
      /*window_size_right=*/std::nullopt);
  const int64_t n = qkv_NF.size(0), g = shape.num_kv_heads;
  if (shares_evenly(shape)) {
    return at::cat({dq.reshape({n, -1}), dk.reshape({n, -1}), dv.reshape({n, -1})}, 1);
  }
  const at::Tensor dkv_NgH = at::empty({n, 2 * g, shape.head_dim}, qkv_NF.options());
  const std::vector<int64_t> whole{n, shape.num_query_heads(), shape.head_dim};
  sum_over_groups(dk.reshape(whole), shape.query_to_kv, dkv_NgH.narrow(1, 0, g));
  sum_over_groups(dv.reshape(whole), shape.query_to_kv, dkv_NgH.narrow(1, g, g));
  return at::cat({dq.reshape({n, -1}), dkv_NgH.view({n, -1})}, 1);
}

}  // namespace phalanx
