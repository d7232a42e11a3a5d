#include "model/phi4.h"

namespace phalanx {
namespace {

std::vector<Block> make_blocks(const Phi4Config& config, const Phi4Options& options,
                               ParameterSet& parameters, const TensorParallel& tp) {
  std::vector<Block> blocks;
  blocks.reserve(config.num_hidden_layers);
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    blocks.emplace_back(parameters, tp, layer, config, options.decay_norms);
  }
  return blocks;
}

}  // namespace

Phi4::Phi4(const Phi4Config& config, const Phi4Options& options, ParameterSet& parameters,
           const TensorParallel& tp)
    : config_(config),
      options_(options),
      embedding_(parameters, tp, "token_embedding.weight", config.vocab_size, config.hidden_size),
      blocks_(make_blocks(config, options, parameters, tp)),
      norm_(parameters, tp, "norm.weight", config, options.decay_norms),
      head_(config.tie_word_embeddings
                ? VocabParallelHead(embedding_, tp, options.loss_chunk_tokens)
                : VocabParallelHead(parameters, tp, "head.weight", config.vocab_size,
                                    config.hidden_size, options.loss_chunk_tokens)) {}

at::Tensor Phi4::run_blocks(const TokenBatch& batch, std::vector<Block::Saved>* saved) const {
  at::Tensor x_nD = embedding_.forward(batch.tokens_BT.flatten());
  for (const Block& block : blocks_) {
    Block::Saved unused;
    x_nD = block.forward(x_nD, batch, options_.recompute, saved ? saved->emplace_back() : unused);
  }
  return x_nD;
}

at::Tensor Phi4::loss(const TokenBatch& batch, GradBuckets* grads) const {
  std::vector<Block::Saved> saved;
  saved.reserve(blocks_.size());
  const at::Tensor x_nD = run_blocks(batch, grads ? &saved : nullptr);
  Norm::Saved norm_saved;
  const at::Tensor normed_nD = norm_.forward(x_nD, norm_saved);
  const HeadLoss head =
      head_.loss(normed_nD, batch.targets_BT.flatten(), batch.loss_mask_BT.flatten(), grads);
  if (grads) {
    backward(norm_.backward(head.dx_nD, x_nD, norm_saved, *grads), batch, saved, *grads);
  }
  return head.loss_N;
}

void Phi4::backward(const at::Tensor& dx_nD, const TokenBatch& batch,
                    std::vector<Block::Saved>& saved, GradBuckets& grads) const {
  at::Tensor d_nD = dx_nD;
  for (int64_t layer = config_.num_hidden_layers - 1; layer >= 0; --layer) {
    d_nD = blocks_[layer].backward(d_nD, batch, options_.recompute, saved[layer], grads);
  }
  embedding_.backward(d_nD, batch.tokens_BT.flatten(), grads);
}

at::Tensor Phi4::logits(const TokenBatch& batch) const {
  const at::Tensor x_nD = run_blocks(batch, nullptr);
  Norm::Saved unused;
  return head_.logits(norm_.forward(x_nD, unused), batch.num_tokens(), config_.vocab_size);
}

}  // namespace phalanx
