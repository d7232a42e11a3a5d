#include "trainer/scorer.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "parallel/thread_communicator.h"
#include "trainer/checkpoint/share_pieces.h"

namespace phalanx {
namespace {

constexpr int64_t kChunkValues = int64_t{1} << 22;

/// One rank stores every tensor whole.
void read_weights(TensorSource& source, const ParameterSet& parameters) {
  check_same_tensors(source, parameters);
  for (const auto& parameter : parameters.parameters()) {
    const Bucket& bucket = parameters.buckets()[static_cast<size_t>(parameter->bucket)];
    for (int64_t begin = 0; begin < parameter->numel; begin += kChunkValues) {
      const int64_t numel = std::min(kChunkValues, parameter->numel - begin);
      const at::Tensor values = at::empty({numel}, at::TensorOptions(at::kFloat));
      source.read(parameter->name, begin,
                  {values.mutable_data_ptr<float>(), static_cast<size_t>(numel)});
      bucket.weights.narrow(0, parameter->offset + begin, numel).copy_(values);
    }
  }
}

}  // namespace

Scorer::Scorer(TensorSource& source, const HfConfig& config, at::ScalarType dtype)
    : config_(config),
      alone_(ThreadGroup(1).communicator(0)),
      tensor_parallel_(*alone_, /*sequence_parallel=*/false),
      model_(config.shape, Phi4Options{}, parameters_, tensor_parallel_) {
  parameters_.allocate_weights(dtype, at::kCPU);
  read_weights(source, parameters_);
}

void Scorer::check_ids(std::span<const int32_t> ids) const {
  const auto count = static_cast<int64_t>(ids.size());
  if (count > config_.max_position_embeddings) {
    throw std::invalid_argument(
        fmt::format("expected at most the {} tokens of the model's max_position_embeddings, found "
                    "{}",
                    config_.max_position_embeddings, count));
  }
  const int64_t vocab_size = config_.shape.vocab_size;
  const auto bad =
      std::find_if(ids.begin(), ids.end(), [&](int32_t id) { return id < 0 || id >= vocab_size; });
  if (bad == ids.end()) return;
  throw std::invalid_argument(fmt::format("token {}: expected an id from 0 to {}, found {}",
                                          bad - ids.begin(), vocab_size - 1, *bad));
}

std::vector<float> Scorer::log_probabilities(std::span<const int32_t> ids) const {
  check_ids(ids);
  if (ids.size() < 2) return {};
  const auto length = static_cast<int64_t>(ids.size());
  const at::Tensor ids_T = at::empty({1, length}, at::TensorOptions(at::kLong));
  std::copy(ids.begin(), ids.end(), ids_T.mutable_data_ptr<int64_t>());
  const RopeTable rope(config_.rope_theta, config_.shape, length, at::kCPU);
  const TokenBatch batch{ids_T.narrow(1, 0, length - 1).contiguous(),
                         ids_T.narrow(1, 1, length - 1).contiguous(),
                         at::ones({1, length - 1}, at::TensorOptions(at::kBool)),
                         at::arange(length - 1, at::TensorOptions(at::kLong)).unsqueeze(0),
                         {},
                         &rope};
  const at::Tensor loss_N = model_.loss(batch, nullptr).contiguous();
  const float* loss = loss_N.const_data_ptr<float>();
  std::vector<float> values(loss, loss + loss_N.numel());
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = 0.0F - values[i];  // not -0
    if (std::isfinite(values[i])) continue;
    throw std::invalid_argument(
        fmt::format("token {}: expected a finite log-probability, found {}", i + 1, values[i]));
  }
  return values;
}

}  // namespace phalanx
