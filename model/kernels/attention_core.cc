#include "model/kernels/attention_core.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

#include "model/kernels/cuda_attention.h"
#include "model/kernels/flash_attention.h"
#include "model/kernels/head_groups.h"

namespace phalanx {
namespace {

/// Query, key and value heads as [B, heads, T, H] views of one buffer.
struct HeadViews {
  at::Tensor q_BhTH, k_BgTH, v_BgTH;
};

HeadViews head_views(const at::Tensor& qkv_NF, const AttentionShape& shape) {
  const int64_t h = shape.num_query_heads(), g = shape.num_kv_heads;
  const at::Tensor heads =
      qkv_NF.view({shape.batch, shape.length, h + 2 * g, shape.head_dim}).transpose(1, 2);
  return {heads.narrow(1, 0, h), heads.narrow(1, h, g), heads.narrow(1, h + g, g)};
}

AttentionSaved::Run flash(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  if (q.is_cpu()) {
    auto [out, logsumexp] = at::_scaled_dot_product_flash_attention_for_cpu(
        q, k, v, /*dropout_p=*/0.0, /*is_causal=*/true);
    return {out, logsumexp};
  }
  auto result = at::_scaled_dot_product_efficient_attention(
      q, k, v, /*attn_bias=*/{}, /*compute_log_sumexp=*/true, /*dropout_p=*/0.0,
      /*is_causal=*/true);
  return {std::get<0>(result), std::get<1>(result)};
}

struct FlashGradients {
  at::Tensor dq, dk, dv;
};

FlashGradients flash_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                              const at::Tensor& v, const AttentionSaved::Run& forward) {
  if (q.is_cpu()) {
    auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
        dout, q, k, v, forward.out_BhTH, forward.logsumexp, /*dropout_p=*/0.0, /*is_causal=*/true);
    return {dq, dk, dv};
  }
  const at::Tensor no_seed = at::zeros({}, at::TensorOptions(at::kLong));
  auto [dq, dk, dv, dbias] = at::_scaled_dot_product_efficient_attention_backward(
      dout, q, k, v, /*attn_bias=*/{}, forward.out_BhTH, forward.logsumexp, no_seed, no_seed,
      /*dropout_p=*/0.0, /*grad_input_mask=*/{true, true, true, false}, /*is_causal=*/true);
  return {dq, dk, dv};
}

/// Sequences and tokens that one call of the kernel covers.
struct RunSlice {
  int64_t first_sequence, num_sequences, begin, end;

  at::Tensor of(const at::Tensor& x_BhTH) const {
    return x_BhTH.narrow(0, first_sequence, num_sequences).narrow(2, begin, end - begin);
  }
};

std::vector<RunSlice> slices_of(const AttentionShape& shape) {
  if (shape.segments.empty()) return {{0, shape.batch, 0, shape.length}};
  std::vector<RunSlice> slices;
  for (const Segment& s : shape.segments) slices.push_back({s.sequence, 1, s.begin, s.end});
  return slices;
}

bool hides_old_keys(int64_t window, int64_t length) { return window > 0 && window < length; }

bool library_is_aligned(at::DeviceType device, at::ScalarType dtype, int64_t head_dim) {
  return device == at::kCPU || head_dim % (dtype == at::kFloat ? 4 : 8) == 0;
}

AttentionKernel kernel_of(const at::Tensor& qkv_NF, const AttentionShape& shape) {
  return attention_kernel(qkv_NF.device().type(), qkv_NF.scalar_type(), shape.head_dim,
                          shape.window, shape.length);
}

/// By our own blocks: the output is kept as it is, not once more by heads.
at::Tensor attention_by_blocks(const at::Tensor& qkv_NF, const AttentionShape& shape,
                               AttentionSaved& saved) {
  const int64_t h = shape.num_query_heads();
  at::Tensor o_NF = at::empty({qkv_NF.size(0), h * shape.head_dim}, qkv_NF.options());
  const at::Tensor logsumexp_BhT =
      at::empty({shape.batch, h, shape.length}, qkv_NF.options().dtype(at::kFloat));
  flash_attention(qkv_NF, shape, o_NF, logsumexp_BhT);
  saved.runs.push_back({o_NF, logsumexp_BhT});
  return o_NF;
}

/// Which keys each query sees, [B, 1, T, T].
at::Tensor visible_keys(const AttentionShape& shape, at::Device device) {
  at::Tensor visible = at::ones({shape.batch, 1, shape.length, shape.length},
                                at::TensorOptions(at::kBool).device(device));
  if (!shape.segments.empty()) {
    visible.zero_();
    for (const Segment& s : shape.segments) {
      visible[s.sequence][0].slice(0, s.begin, s.end).slice(1, s.begin, s.end).fill_(true);
    }
  }
  visible = visible.tril();
  return shape.window > 0 ? visible.triu(1 - shape.window) : visible;
}

/// Softmax in fp32 of the scaled scores, [B, h, T, T].
at::Tensor plain_probabilities(const at::Tensor& q_BhTH, const at::Tensor& k_BhTH,
                               const AttentionShape& shape) {
  const double scale = 1.0 / std::sqrt(double(shape.head_dim));
  const at::Tensor scores = (at::matmul(q_BhTH, k_BhTH.transpose(2, 3)) * scale).to(at::kFloat);
  const at::Tensor hidden = visible_keys(shape, q_BhTH.device()).logical_not();
  return at::softmax(scores.masked_fill(hidden, -std::numeric_limits<float>::infinity()), -1);
}

/// By LibTorch's kernel, a call for each document.
at::Tensor attention_by_library(const at::Tensor& qkv_NF, const AttentionShape& shape,
                                AttentionSaved& saved) {
  const HeadViews heads = head_views(qkv_NF, shape);
  const at::Tensor k = repeat_heads(heads.k_BgTH, shape.query_to_kv);
  const at::Tensor v = repeat_heads(heads.v_BgTH, shape.query_to_kv);
  at::Tensor o_BThH = at::empty(
      {shape.batch, shape.length, shape.num_query_heads(), shape.head_dim}, qkv_NF.options());
  for (const RunSlice& slice : slices_of(shape)) {
    saved.runs.push_back(flash(slice.of(heads.q_BhTH), slice.of(k), slice.of(v)));
    const at::Tensor out_BhTH = slice.of(o_BThH.transpose(1, 2));
    out_BhTH.copy_(saved.runs.back().out_BhTH);
    saved.runs.back().out_BhTH = out_BhTH;  // a view: the output is kept once
  }
  return o_BThH.view({qkv_NF.size(0), -1});
}

at::Tensor attention_by_library_backward(const at::Tensor& do_NF, const at::Tensor& qkv_NF,
                                         const AttentionShape& shape, const AttentionSaved& saved) {
  const HeadViews heads = head_views(qkv_NF, shape);
  const at::Tensor k = repeat_heads(heads.k_BgTH, shape.query_to_kv);
  const at::Tensor v = repeat_heads(heads.v_BgTH, shape.query_to_kv);
  const at::Tensor do_BhTH =
      do_NF.view({shape.batch, shape.length, shape.num_query_heads(), shape.head_dim})
          .transpose(1, 2);
  at::Tensor dqkv_NF = at::empty_like(qkv_NF);
  const HeadViews d = head_views(dqkv_NF, shape);
  const std::vector<RunSlice> slices = slices_of(shape);
  // Heads are summed once for all documents, whose number must not multiply that of the kernels.
  at::Tensor dk_BhTH, dv_BhTH;
  if (slices.size() > 1) dk_BhTH = at::empty_like(k), dv_BhTH = at::empty_like(v);
  for (size_t i = 0; i < slices.size(); ++i) {
    const RunSlice& slice = slices[i];
    FlashGradients part = flash_backward(slice.of(do_BhTH), slice.of(heads.q_BhTH), slice.of(k),
                                         slice.of(v), saved.runs[i]);
    slice.of(d.q_BhTH).copy_(part.dq);
    if (slices.size() == 1) {
      dk_BhTH = std::move(part.dk), dv_BhTH = std::move(part.dv);
    } else {
      slice.of(dk_BhTH).copy_(part.dk);
      slice.of(dv_BhTH).copy_(part.dv);
    }
  }
  sum_over_groups(dk_BhTH, shape.query_to_kv, d.k_BgTH);
  sum_over_groups(dv_BhTH, shape.query_to_kv, d.v_BgTH);
  return dqkv_NF;
}

}  // namespace

at::Tensor segment_offsets(const std::vector<Segment>& segments, int64_t length,
                           at::Device device) {
  const at::Tensor offsets = at::empty({static_cast<int64_t>(segments.size()) + 1},
                                       at::TensorOptions(at::kInt).pinned_memory(device.is_cuda()));
  int32_t* offset = offsets.mutable_data_ptr<int32_t>();
  int64_t token = 0;
  for (const Segment& s : segments) {
    TORCH_INTERNAL_ASSERT(s.sequence * length + s.begin == token,
                          "segments cover all tokens, in order");
    *offset++ = static_cast<int32_t>(token);
    token += s.end - s.begin;
  }
  *offset = static_cast<int32_t>(token);
  return offsets.to(device, /*non_blocking=*/true);
}

AttentionKernel attention_kernel(at::DeviceType device, at::ScalarType dtype, int64_t head_dim,
                                 int64_t window, int64_t length) {
  if (has_flash_attention(device, dtype)) return AttentionKernel::kPackedBlocks;
  if (has_cuda_flash_attention(device, dtype, head_dim)) return AttentionKernel::kFlashAttention2;
  if (hides_old_keys(window, length)) return AttentionKernel::kPlain;
  return library_is_aligned(device, dtype, head_dim) ? AttentionKernel::kLibrary
                                                     : AttentionKernel::kPlain;
}

at::Tensor attention(const at::Tensor& qkv_NF, const AttentionShape& shape, AttentionSaved& saved) {
  RECORD_USER_SCOPE("attention forward");
  saved.runs.clear();
  switch (kernel_of(qkv_NF, shape)) {
    case AttentionKernel::kPackedBlocks:
      return attention_by_blocks(qkv_NF, shape, saved);
    case AttentionKernel::kFlashAttention2:
      return cuda_flash_attention(qkv_NF, shape, saved);
    case AttentionKernel::kLibrary:
      return attention_by_library(qkv_NF, shape, saved);
    case AttentionKernel::kPlain:
      break;
  }
  return attention_plain(qkv_NF, shape);
}

at::Tensor attention_backward(const at::Tensor& do_NF, const at::Tensor& qkv_NF,
                              const AttentionShape& shape, const AttentionSaved& saved) {
  RECORD_USER_SCOPE("attention backward");
  switch (kernel_of(qkv_NF, shape)) {
    case AttentionKernel::kPackedBlocks: {
      const AttentionSaved::Run& run = saved.runs.at(0);
      return flash_attention_backward(do_NF, qkv_NF, run.out_BhTH, run.logsumexp, shape);
    }
    case AttentionKernel::kFlashAttention2:
      return cuda_flash_attention_backward(do_NF, qkv_NF, shape, saved);
    case AttentionKernel::kLibrary:
      return attention_by_library_backward(do_NF, qkv_NF, shape, saved);
    case AttentionKernel::kPlain:
      break;
  }
  return attention_backward_plain(do_NF, qkv_NF, shape);
}

std::string attention_text(at::DeviceType device, at::ScalarType dtype, int64_t head_dim,
                           int64_t window, int64_t length) {
  switch (attention_kernel(device, dtype, head_dim, window, length)) {
    case AttentionKernel::kPackedBlocks:
      return "packed blocks";
    case AttentionKernel::kFlashAttention2:
      return "FlashAttention-2";
    case AttentionKernel::kLibrary:
      return "LibTorch's kernel";
    case AttentionKernel::kPlain:
      break;
  }
  const std::string why =
      hides_old_keys(window, length)
          ? fmt::format("has a sliding window (of {} keys in rows of {})", window, length)
          : fmt::format("takes heads of {} features in {}", head_dim, c10::toString(dtype));
  return fmt::format("plain operations with all scores in memory, since no kernel for {} {}",
                     c10::DeviceTypeName(device, /*lower_case=*/true), why);
}

at::Tensor attention_plain(const at::Tensor& qkv_NF, const AttentionShape& shape) {
  const HeadViews heads = head_views(qkv_NF, shape);
  const at::Tensor k = repeat_heads(heads.k_BgTH, shape.query_to_kv);
  const at::Tensor v = repeat_heads(heads.v_BgTH, shape.query_to_kv);
  const at::Tensor p = plain_probabilities(heads.q_BhTH, k, shape).to(qkv_NF.scalar_type());
  return at::matmul(p, v).transpose(1, 2).reshape({qkv_NF.size(0), -1});
}

at::Tensor attention_backward_plain(const at::Tensor& do_NF, const at::Tensor& qkv_NF,
                                    const AttentionShape& shape) {
  const HeadViews heads = head_views(qkv_NF, shape);
  const at::Tensor q = heads.q_BhTH.to(at::kFloat);
  const at::Tensor k = repeat_heads(heads.k_BgTH, shape.query_to_kv).to(at::kFloat);
  const at::Tensor v = repeat_heads(heads.v_BgTH, shape.query_to_kv).to(at::kFloat);
  const at::Tensor d_o =
      do_NF.view({shape.batch, shape.length, shape.num_query_heads(), shape.head_dim})
          .transpose(1, 2)
          .to(at::kFloat);
  const at::Tensor p = plain_probabilities(q, k, shape);
  const at::Tensor dp = at::matmul(d_o, v.transpose(2, 3));
  const at::Tensor ds =
      p * (dp - (dp * p).sum(-1, /*keepdim=*/true)) / std::sqrt(double(shape.head_dim));
  at::Tensor dqkv_NF = at::empty_like(qkv_NF);
  const HeadViews d = head_views(dqkv_NF, shape);
  d.q_BhTH.copy_(at::matmul(ds, k));
  sum_over_groups(at::matmul(ds.transpose(2, 3), q), shape.query_to_kv, d.k_BgTH);
  sum_over_groups(at::matmul(p.transpose(2, 3), d_o), shape.query_to_kv, d.v_BgTH);
  return dqkv_NF;
}

}  // namespace phalanx
