#include "model/block.h"

#include <ATen/TensorOperators.h>

#include "model/kernels/rms_norm.h"
#include "model/kernels/swiglu.h"

namespace phalanx {
namespace {

std::vector<ColumnOutput> query_key_value(const std::string& prefix, const Phi4Config& config,
                                          const HeadSplit& heads) {
  const int64_t dim = config.head_dim;
  const auto rows = [dim](Range r) { return Range{r.begin * dim, r.end * dim}; };
  const bool overlap = !heads.key_value_divides;
  return {
      {prefix + ".q.weight", config.query_size(), rows(heads.query), false},
      {prefix + ".k.weight", config.key_value_size(), rows(heads.key_value), overlap},
      {prefix + ".v.weight", config.key_value_size(), rows(heads.key_value), overlap},
  };
}

}  // namespace

Norm::Norm(ParameterSet& parameters, const TensorParallel& tp, const std::string& name,
           const Phi4Config& config, bool decay)
    : tp_(tp),
      weight_(&parameters.declare(name, replicated({config.hidden_size}), "shared", decay)),
      eps_(config.rms_norm_eps) {}

at::Tensor Norm::forward(const at::Tensor& x_nD, Saved& saved) const {
  RmsNormOutput out = rms_norm(x_nD, weight_->ready(), eps_);
  saved.rstd_n = out.rstd_N;
  return out.y_ND;
}

at::Tensor Norm::forward_sum(const at::Tensor& x_nD, const at::Tensor& delta_nD, at::Tensor& h_nD,
                             Saved& saved) const {
  AddRmsNormOutput out = add_rms_norm(x_nD, delta_nD, weight_->ready(), eps_);
  h_nD = out.h_ND;
  saved.rstd_n = out.rstd_N;
  return out.y_ND;
}

at::Tensor Norm::replay(const at::Tensor& x_nD) const {
  return rms_norm(x_nD, weight_->ready(), eps_).y_ND;
}

at::Tensor Norm::backward(const at::Tensor& dy_nD, const at::Tensor& x_nD, const Saved& saved,
                          GradBuckets& grads, const at::Tensor& dresidual_nD) const {
  RmsNormGradients d = rms_norm_backward(dy_nD, x_nD, weight_->ready(), saved.rstd_n, dresidual_nD);
  grads.accumulate(*weight_, d.dweight_D, /*whole_everywhere=*/!tp_.sequence_parallel());
  return d.dx_ND;
}

Attention::Attention(ParameterSet& parameters, const TensorParallel& tp, const std::string& prefix,
                     const std::string& bucket, const Phi4Config& config)
    : tp_(tp),
      heads_(tp.heads(config.num_attention_heads, config.num_key_value_heads)),
      head_dim_(config.head_dim),
      window_(config.sliding_window),
      qkv_(parameters, tp, bucket, config.hidden_size, query_key_value(prefix, config, heads_)),
      o_(parameters, tp, bucket, prefix + ".o.weight", config.hidden_size, config.query_size(),
         {heads_.query.begin * head_dim_, heads_.query.end * head_dim_}) {}

AttentionShape Attention::shape_of(const TokenBatch& batch) const {
  return {batch.tokens_BT.size(0), batch.tokens_BT.size(1), head_dim_, heads_.query_to_kv,
          heads_.key_value.size(), batch.segments,          window_,   batch.segment_offsets};
}

at::Tensor Attention::forward(const at::Tensor& a_nD, const TokenBatch& batch, Saved& saved) const {
  const int64_t num_rotated = heads_.query.size() + heads_.key_value.size();
  saved.qkv_NF = qkv_.forward(a_nD, batch.num_tokens());
  rope_(saved.qkv_NF, num_rotated, *batch.rope, batch.positions_BT.flatten(), Rotation::kForward);
  saved.o_NF = attention(saved.qkv_NF, shape_of(batch), saved.core);
  return o_.forward(saved.o_NF);
}

at::Tensor Attention::backward(const at::Tensor& dy_nD, const at::Tensor& a_nD,
                               const TokenBatch& batch, const Saved& saved,
                               GradBuckets& grads) const {
  const int64_t num_rotated = heads_.query.size() + heads_.key_value.size();
  const at::Tensor do_NF = o_.backward(dy_nD, saved.o_NF, grads);
  const at::Tensor dqkv_NF = attention_backward(do_NF, saved.qkv_NF, shape_of(batch), saved.core);
  rope_(dqkv_NF, num_rotated, *batch.rope, batch.positions_BT.flatten(), Rotation::kBackward);
  return qkv_.backward(dqkv_NF, a_nD, grads);
}

FeedForward::FeedForward(ParameterSet& parameters, const TensorParallel& tp,
                         const std::string& prefix, const std::string& bucket,
                         const Phi4Config& config)
    : tp_(tp),
      gate_up_(parameters, tp, bucket, config.hidden_size,
               {{prefix + ".gate.weight", config.intermediate_size,
                 tp.part_of(config.intermediate_size), false},
                {prefix + ".up.weight", config.intermediate_size,
                 tp.part_of(config.intermediate_size), false}}),
      down_(parameters, tp, bucket, prefix + ".down.weight", config.hidden_size,
            config.intermediate_size, tp.part_of(config.intermediate_size)) {}

at::Tensor FeedForward::forward(const at::Tensor& a_nD, int64_t num_tokens, Saved& saved) const {
  saved.gate_up_N2f = gate_up_.forward(a_nD, num_tokens);
  saved.product_Nf = swiglu(saved.gate_up_N2f);
  return down_.forward(saved.product_Nf);
}

at::Tensor FeedForward::backward(const at::Tensor& dy_nD, const at::Tensor& a_nD,
                                 const Saved& saved, GradBuckets& grads) const {
  const at::Tensor product_Nf =
      saved.product_Nf.defined() ? saved.product_Nf : swiglu(saved.gate_up_N2f);
  const at::Tensor dproduct_Nf = down_.backward(dy_nD, product_Nf, grads);
  const at::Tensor dgate_up_N2f = swiglu_backward(dproduct_Nf, saved.gate_up_N2f);
  return gate_up_.backward(dgate_up_N2f, a_nD, grads);
}

Block::Block(ParameterSet& parameters, const TensorParallel& tp, int64_t layer,
             const Phi4Config& config, bool decay_norms)
    : attention_norm_(parameters, tp, "layers." + std::to_string(layer) + ".attention_norm.weight",
                      config, decay_norms),
      attention_(parameters, tp, "layers." + std::to_string(layer) + ".attention",
                 "layers." + std::to_string(layer), config),
      feed_forward_norm_(parameters, tp,
                         "layers." + std::to_string(layer) + ".feed_forward_norm.weight", config,
                         decay_norms),
      feed_forward_(parameters, tp, "layers." + std::to_string(layer) + ".feed_forward",
                    "layers." + std::to_string(layer), config) {}

at::Tensor Block::forward(const at::Tensor& x_nD, const TokenBatch& batch, Recompute recompute,
                          Saved& saved) const {
  saved.x_nD = x_nD;
  saved.a_nD = attention_norm_.forward(x_nD, saved.attention_norm);
  saved.b_nD =
      feed_forward_norm_.forward_sum(x_nD, attention_.forward(saved.a_nD, batch, saved.attention),
                                     saved.h_nD, saved.feed_forward_norm);
  at::Tensor y_nD =
      saved.h_nD + feed_forward_.forward(saved.b_nD, batch.num_tokens(), saved.feed_forward);
  if (recompute == Recompute::kSelective) {
    saved.a_nD.reset();
    saved.b_nD.reset();
    saved.feed_forward.product_Nf.reset();
  } else if (recompute == Recompute::kFull) {
    saved = Saved{};
    saved.x_nD = x_nD;
  }
  return y_nD;
}

at::Tensor Block::backward(const at::Tensor& dy_nD, const TokenBatch& batch, Recompute recompute,
                           Saved& saved, GradBuckets& grads) const {
  if (recompute == Recompute::kFull) {
    forward(at::Tensor(saved.x_nD), batch, Recompute::kNone, saved);
  }
  if (!saved.b_nD.defined()) saved.b_nD = feed_forward_norm_.replay(saved.h_nD);
  const at::Tensor db_nD = feed_forward_.backward(dy_nD, saved.b_nD, saved.feed_forward, grads);
  saved.feed_forward = {};
  const at::Tensor dh_nD =
      feed_forward_norm_.backward(db_nD, saved.h_nD, saved.feed_forward_norm, grads, dy_nD);
  if (!saved.a_nD.defined()) saved.a_nD = attention_norm_.replay(saved.x_nD);
  const at::Tensor da_nD = attention_.backward(dh_nD, saved.a_nD, batch, saved.attention, grads);
  at::Tensor dx_nD =
      attention_norm_.backward(da_nD, saved.x_nD, saved.attention_norm, grads, dh_nD);
  saved = {};
  return dx_nD;
}

}  // namespace phalanx
