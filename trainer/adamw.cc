#include "trainer/adamw.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "trainer/adamw_kernel.h"

namespace phalanx {
namespace {

AdamWCoefficients coefficients(const OptimizerConfig& config, double learning_rate,
                               double grad_scale, int64_t num_updates) {
  const double n = static_cast<double>(num_updates);
  AdamWCoefficients c;
  c.grad_scale = static_cast<float>(grad_scale);
  c.beta1 = static_cast<float>(config.beta1);
  c.beta2 = static_cast<float>(config.beta2);
  c.gain1 = static_cast<float>(1.0 - config.beta1);
  c.gain2 = static_cast<float>(1.0 - config.beta2);
  c.decay_factor = static_cast<float>(1.0 - learning_rate * config.weight_decay);
  c.step_size = static_cast<float>(learning_rate / (1.0 - std::pow(config.beta1, n)));
  c.inverse_sqrt_bias2 = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(config.beta2, n)));
  c.epsilon = static_cast<float>(config.epsilon);
  return c;
}

}  // namespace

AdamW::AdamW(const OptimizerConfig& config, ParameterSet& parameters, Communicator& data_parallel)
    : config_(config), parameters_(parameters), data_parallel_(data_parallel) {
  for (const Bucket& bucket : parameters_.buckets()) {
    BucketShare share;
    share.numel = bucket.padded_numel / data_parallel_.size();
    share.begin = share.numel * data_parallel_.rank();
    share.master = at::zeros({share.numel}, bucket.grads.options());
    share.exp_avg = at::zeros({share.numel}, bucket.grads.options());
    share.exp_avg_sq = at::zeros({share.numel}, bucket.grads.options());
    add_pieces(bucket, share);
    shares_.push_back(share);
  }
}

void AdamW::add_pieces(const Bucket& bucket, const BucketShare& share) {
  std::vector<Piece> pieces;
  for (const Parameter* parameter : bucket.parameters) {
    const int64_t begin = std::max(parameter->offset, share.begin);
    const int64_t end = std::min(parameter->offset + parameter->numel, share.begin + share.numel);
    if (begin >= end) continue;
    const bool extends = !pieces.empty() && pieces.back().decay == parameter->decay;
    if (extends) {
      pieces.back().numel += end - begin;
    } else {
      pieces.push_back({begin - share.begin, end - begin, parameter->decay});
    }
  }
  pieces_.push_back(std::move(pieces));
}

void AdamW::load_masters_from_weights() {
  for (size_t b = 0; b < shares_.size(); ++b) {
    const BucketShare& share = shares_[b];
    share.master.copy_(parameters_.buckets()[b].weights.narrow(0, share.begin, share.numel));
  }
}

void AdamW::update(const std::vector<at::Tensor>& grad_shares, double learning_rate,
                   double grad_scale, int64_t num_updates) {
  AdamWCoefficients decaying = coefficients(config_, learning_rate, grad_scale, num_updates);
  AdamWCoefficients plain = decaying;
  plain.decay_factor = 1.0f;
  for (size_t b = 0; b < shares_.size(); ++b) {
    const BucketShare& share = shares_[b];
    const at::Tensor weights = parameters_.buckets()[b].weights.narrow(0, share.begin, share.numel);
    for (const Piece& piece : pieces_[b]) {
      const auto cut = [&](const at::Tensor& t) { return t.narrow(0, piece.begin, piece.numel); };
      adamw_update({cut(grad_shares[b]), cut(share.master), cut(share.exp_avg),
                    cut(share.exp_avg_sq), cut(weights)},
                   piece.decay ? decaying : plain);
    }
  }
}

void AdamW::write_weights() {
  for (size_t b = 0; b < shares_.size(); ++b) {
    const BucketShare& share = shares_[b];
    parameters_.buckets()[b].weights.narrow(0, share.begin, share.numel).copy_(share.master);
  }
}

void AdamW::gather_weights() {
  if (data_parallel_.size() == 1) return;
  for (size_t b = 0; b < shares_.size(); ++b) {
    Bucket& bucket = parameters_.buckets()[b];
    bucket.finish_gather();
    bucket.gather = data_parallel_.all_gather(
        bucket.weights, bucket.weights.narrow(0, shares_[b].begin, shares_[b].numel));
  }
}

}  // namespace phalanx
