#pragma once
// The parts of one transformer block: attention and feed-forward, each with its pre-norm and its
// residual sum: x + attention(norm(x)), then h + feed_forward(norm(h)) (Phi3DecoderLayer).
// Forward and backward are explicit; the saved values are the caller's. Collective over the tensor
// axis through the layers: every forward and backward, same order everywhere.
// Shapes: x_nD residual stream, N tokens, f this part's share of the features.
#include <ATen/core/Tensor.h>

#include <string>

#include "model/kernels/attention_core.h"
#include "model/phi4_config.h"
#include "model/recompute.h"
#include "model/token_batch.h"
#include "parallel/grad_buckets.h"
#include "parallel/parameters.h"
#include "parallel/tp_linear.h"

namespace phalanx {

/// RMSNorm with its weight; a replicated parameter.
class Norm {
 public:
  Norm(ParameterSet& parameters, const TensorParallel& tp, const std::string& name,
       const Phi4Config& config, bool decay);

  struct Saved {
    at::Tensor rstd_n;
  };
  at::Tensor forward(const at::Tensor& x_nD, Saved& saved) const;
  /// h_nD = x_nD + delta_nD goes to `h_nD`; returns its norm.
  at::Tensor forward_sum(const at::Tensor& x_nD, const at::Tensor& delta_nD, at::Tensor& h_nD,
                         Saved& saved) const;
  /// The output again, from the same input.
  at::Tensor replay(const at::Tensor& x_nD) const;
  /// Gradient with respect to x_nD plus dresidual_nD, that of the stream past the norm.
  at::Tensor backward(const at::Tensor& dy_nD, const at::Tensor& x_nD, const Saved& saved,
                      GradBuckets& grads, const at::Tensor& dresidual_nD = {}) const;

 private:
  const TensorParallel& tp_;
  Parameter* weight_;
  double eps_;
};

class Attention {
 public:
  Attention(ParameterSet& parameters, const TensorParallel& tp, const std::string& prefix,
            const std::string& bucket, const Phi4Config& config);

  struct Saved {
    at::Tensor qkv_NF, o_NF;
    AttentionSaved core;
  };
  at::Tensor forward(const at::Tensor& a_nD, const TokenBatch& batch, Saved& saved) const;
  at::Tensor backward(const at::Tensor& dy_nD, const at::Tensor& a_nD, const TokenBatch& batch,
                      const Saved& saved, GradBuckets& grads) const;

 private:
  AttentionShape shape_of(const TokenBatch& batch) const;

  const TensorParallel& tp_;
  HeadSplit heads_;
  int64_t head_dim_;
  int64_t window_;
  ColumnParallelLinear qkv_;
  RowParallelLinear o_;
};

class FeedForward {
 public:
  FeedForward(ParameterSet& parameters, const TensorParallel& tp, const std::string& prefix,
              const std::string& bucket, const Phi4Config& config);

  struct Saved {
    at::Tensor gate_up_N2f, product_Nf;
  };
  at::Tensor forward(const at::Tensor& a_nD, int64_t num_tokens, Saved& saved) const;
  at::Tensor backward(const at::Tensor& dy_nD, const at::Tensor& a_nD, const Saved& saved,
                      GradBuckets& grads) const;

 private:
  const TensorParallel& tp_;
  ColumnParallelLinear gate_up_;
  RowParallelLinear down_;
};

class Block {
 public:
  Block(ParameterSet& parameters, const TensorParallel& tp, int64_t layer, const Phi4Config& config,
        bool decay_norms);

  struct Saved {
    at::Tensor x_nD, h_nD;  // inputs of the two halves
    at::Tensor a_nD, b_nD;  // their norms
    Norm::Saved attention_norm, feed_forward_norm;
    Attention::Saved attention;
    FeedForward::Saved feed_forward;
  };
  at::Tensor forward(const at::Tensor& x_nD, const TokenBatch& batch, Recompute recompute,
                     Saved& saved) const;
  /// Frees `saved` as it goes.
  at::Tensor backward(const at::Tensor& dy_nD, const TokenBatch& batch, Recompute recompute,
                      Saved& saved, GradBuckets& grads) const;

 private:
  Norm attention_norm_;
  Attention attention_;
  Norm feed_forward_norm_;
  FeedForward feed_forward_;
};

}  // namespace phalanx
