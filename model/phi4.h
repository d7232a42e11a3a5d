#pragma once
// The phi-4 transformer, as Phi3ForCausalLM computes it (facts: arXiv 2412.08905 section 3): token
// embedding, blocks, final norm, output head. Forward and backward without an autograd graph: a
// micro-batch's gradient goes straight into the buckets, in an order that is the same everywhere.
// Collective over the tensor axis: loss() and logits(), same order everywhere.
// Ownership: declares its parameters in a ParameterSet, which must be allocated before use and
// outlive the model, as must the TensorParallel.
#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <vector>

#include "model/block.h"
#include "model/phi4_config.h"
#include "model/token_batch.h"
#include "parallel/vocab_parallel.h"

namespace phalanx {

struct Phi4Options {
  Recompute recompute = Recompute::kNone;
  int64_t loss_chunk_tokens = 1024;
  bool decay_norms = false;
};

class Phi4 {
 public:
  Phi4(const Phi4Config& config, const Phi4Options& options, ParameterSet& parameters,
       const TensorParallel& tp);

  /// -log p(target) of each token in nats, fp32 [N], 0 where masked. With grads, also adds the
  /// gradient of their sum.
  at::Tensor loss(const TokenBatch& batch, GradBuckets* grads) const;

  /// fp32 [N, vocabulary]; for tests and small prompts.
  at::Tensor logits(const TokenBatch& batch) const;

 private:
  /// Residual stream after the last block; saved gets one entry a block when not null.
  at::Tensor run_blocks(const TokenBatch& batch, std::vector<Block::Saved>* saved) const;
  void backward(const at::Tensor& dx_nD, const TokenBatch& batch, std::vector<Block::Saved>& saved,
                GradBuckets& grads) const;

  Phi4Config config_;
  Phi4Options options_;
  VocabParallelEmbedding embedding_;
  std::vector<Block> blocks_;
  Norm norm_;
  VocabParallelHead head_;
};

}  // namespace phalanx
