#include "trainer/adamw.h"

#include <ATen/ops/zeros.h>
#include <ATen/record_function.h>
#include <c10/util/Exception.h>

#include <cmath>

#include "trainer/checkpoint/share_pieces.h"
#include "trainer/checkpoint/slice_layout.h"
#include "trainer/pinned_memory.h"

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

AdamW::AdamW(const OptimizerConfig& config, ParameterSet& parameters, Communicator& data_parallel,
             uint64_t seed)
    : config_(config), parameters_(parameters), data_parallel_(data_parallel) {
  for (const Bucket& bucket : parameters_.buckets()) add_share(bucket);
  add_pieces(seed);
  if (config_.offload == Offload::kHost && !shares_.empty()) {
    stream_ = std::make_unique<StateStream>(parameters_.buckets().front().weights.device());
  }
}

void AdamW::add_share(const Bucket& bucket) {
  BucketShare share;
  share.numel = bucket.padded_numel / data_parallel_.size();
  share.begin = share.numel * data_parallel_.rank();
  const at::Device device = bucket.weights.device();
  const bool on_host = config_.offload == Offload::kHost && device.is_cuda();
  const auto zeros = [&](Precision type) {
    return on_host ? pinned_zeros(share.numel, dtype_of(type), "optimizer.offload: host")
                   : at::zeros({share.numel}, at::TensorOptions(device).dtype(dtype_of(type)));
  };
  if (config_.master == Precision::kBf16) {
    TORCH_INTERNAL_ASSERT(bucket.weights.scalar_type() == at::kBFloat16);
    share.master = bucket.weights.narrow(0, share.begin, share.numel);
  } else {
    share.master = zeros(Precision::kFp32);
  }
  share.exp_avg = zeros(config_.state);
  share.exp_avg_sq = zeros(config_.state);
  shares_.push_back(share);
}

void AdamW::add_pieces(uint64_t seed) {
  for (const SharePiece& piece : share_pieces(parameters_, shares_)) {
    const Parameter& parameter = *piece.parameter;
    const ShardSpec& spec = parameter.spec;
    const SliceLayout slice = slice_layout(spec.full_shape, spec.dim, spec.stored());
    pieces_.push_back({piece.bucket,
                       piece.offset,
                       piece.stored.size(),
                       parameter.decay,
                       {piece.stored.begin, slice.stride, slice.start, slice.width},
                       named_key(parameter.name, seed)});
  }
}

void AdamW::load_masters_from_weights() {
  for (size_t b = 0; b < shares_.size(); ++b) {
    const BucketShare& share = shares_[b];
    share.master.copy_(parameters_.buckets()[b].weights.narrow(0, share.begin, share.numel));
  }
}

std::vector<AdamWRun> AdamW::runs(const std::vector<at::Tensor>& grad_shares, int64_t num_updates) {
  std::vector<AdamWRun> result;
  for (const Piece& piece : pieces_) {
    const auto b = static_cast<size_t>(piece.bucket);
    const BucketShare& share = shares_[b];
    const at::Tensor weights = parameters_.buckets()[b].weights.narrow(0, share.begin, share.numel);
    const auto cut = [&](const at::Tensor& t) { return t.narrow(0, piece.begin, piece.numel); };
    result.push_back({cut(grad_shares[b]), cut(share.master), cut(share.exp_avg),
                      cut(share.exp_avg_sq), cut(weights), piece.places,
                      key_for(piece.key, KeyUse::kOptimizerRounding, num_updates)});
  }
  return result;
}

void AdamW::update(const std::vector<at::Tensor>& grad_shares, double learning_rate,
                   double grad_scale, int64_t num_updates) {
  RECORD_USER_SCOPE("optimizer");
  const AdamWCoefficients decaying = coefficients(config_, learning_rate, grad_scale, num_updates);
  AdamWCoefficients plain = decaying;
  plain.decay_factor = 1.0f;
  const auto update_run = [&](size_t i, const AdamWRun& run) {
    adamw_update(run, pieces_[i].decay ? decaying : plain);
  };
  const std::vector<AdamWRun> all = runs(grad_shares, num_updates);
  if (stream_) return stream_->pass(all, update_run);
  for (size_t i = 0; i < all.size(); ++i) update_run(i, all[i]);
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
