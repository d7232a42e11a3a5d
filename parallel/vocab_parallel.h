#pragma once
// Token embedding and output head whose vocabulary rows are cut over the tensor-parallel axis
// (Megatron-LM, arXiv 1909.08053, section 3). The vocabulary need not divide.
// Collective over tp: every call, every rank, same order. Refer to a ParameterSet and a
// TensorParallel that must outlive them. Token ids and targets are int64 in [0, vocabulary).
#include <ATen/core/Tensor.h>

#include <string>

#include "parallel/grad_buckets.h"
#include "parallel/parameters.h"
#include "parallel/tp_ops.h"

namespace phalanx {

class VocabParallelEmbedding {
 public:
  VocabParallelEmbedding(ParameterSet& parameters, const TensorParallel& tp,
                         const std::string& name, int64_t vocab_size, int64_t hidden_size);

  at::Tensor forward(const at::Tensor& tokens_N) const;  // x_nD
  void backward(const at::Tensor& dy_nD, const at::Tensor& tokens_N, GradBuckets& grads) const;

  Parameter& weight() const { return *weight_; }

 private:
  at::Tensor local_index(const at::Tensor& tokens_N) const;

  const TensorParallel& tp_;
  Parameter* weight_;
};

struct HeadLoss {
  at::Tensor loss_N;  // fp32, -log p(target) in nats; 0 where masked
  at::Tensor dx_nD;   // gradient of sum(loss_N), reduced over tp; undefined when not asked for
};

/// Output projection fused with the cross-entropy, over chunks of tokens: logits of more than
/// chunk_tokens tokens never exist, and a chunk's gradient is made while its logits are at hand.
class VocabParallelHead {
 public:
  VocabParallelHead(ParameterSet& parameters, const TensorParallel& tp, const std::string& name,
                    int64_t vocab_size, int64_t hidden_size, int64_t chunk_tokens);
  /// A head that shares the embedding's weight.
  VocabParallelHead(VocabParallelEmbedding& embedding, const TensorParallel& tp,
                    int64_t chunk_tokens);

  /// x_nD, targets_N, mask_N (bool: counts). With grads, adds the weight gradient too.
  HeadLoss loss(const at::Tensor& x_nD, const at::Tensor& targets_N, const at::Tensor& mask_N,
                GradBuckets* grads) const;
  /// Logits of all given tokens over the whole vocabulary, fp32 [N, vocabulary]. For tests and
  /// small prompts, never for training.
  at::Tensor logits(const at::Tensor& x_nD, int64_t num_tokens, int64_t vocab_size) const;

 private:
  struct Chunk {  // tokens [begin, begin + size) of x_ND
    at::Tensor x_cD, targets_c, mask_c;
  };
  at::Tensor chunk_loss(const Chunk& chunk, at::Tensor* dlogits_cv) const;
  /// By the kernels of CUDA: the logits stay in their own type and become the gradient in place.
  at::Tensor chunk_loss_cuda(const Chunk& chunk, at::Tensor* dlogits_cv) const;

  const TensorParallel& tp_;
  Parameter* weight_;
  int64_t chunk_tokens_;
};

}  // namespace phalanx
