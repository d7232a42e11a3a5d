#include "trainer/train_step.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "trainer/grad_norm.h"

namespace phalanx {

double LossSums::total_nats() const { return std::accumulate(nats.begin(), nats.end(), 0.0); }
double LossSums::total_targets() const {
  return std::accumulate(targets.begin(), targets.end(), 0.0);
}

at::Tensor nats_of_rows(const at::Tensor& loss_N, int64_t length) {
  return loss_N.view({-1, length}).sum(1, /*keepdim=*/false, at::kDouble);
}

void add_losses(const at::Tensor& nats_R, const at::Tensor& mask_RT,
                const std::vector<int32_t>& source_R, LossSums& sums) {
  const at::Tensor targets_R = mask_RT.sum(1);
  for (int64_t row = 0; row < nats_R.size(0); ++row) {
    const size_t source = static_cast<size_t>(source_R[row]);
    sums.nats[source] += nats_R.const_data_ptr<double>()[row];
    sums.targets[source] += static_cast<double>(targets_R.const_data_ptr<int64_t>()[row]);
  }
}

TrainStep::TrainStep(const Phi4& model, ParameterSet& parameters, GradBuckets& grads,
                     AdamW& optimizer, const RunContext& context, double clip_grad_norm,
                     size_t num_sources, const MicroBatchOptions& options, bool cuda_graphs)
    : model_(model),
      parameters_(parameters),
      grads_(grads),
      optimizer_(optimizer),
      context_(context),
      clip_grad_norm_(clip_grad_norm),
      num_sources_(num_sources),
      options_(options),
      graphed_(cuda_graphs ? std::make_unique<GraphedPass>(model, grads) : nullptr) {}

at::Tensor TrainStep::pass(const TokenBatch& tokens) {
  return graphed_ ? graphed_->loss(tokens) : model_.loss(tokens, &grads_);
}

void TrainStep::accumulate(const Batch& batch, const StepInputs& inputs, LossSums& sums) {
  const int64_t rows = batch.tokens_RT.size(0), size = inputs.micro_batch_size;
  grads_.begin_step((rows + size - 1) / size, inputs.num_updates);
  // Losses stay on their device until all passes are under way: the host must not wait for each.
  std::vector<at::Tensor> nats;
  for (int64_t first = 0; first < rows; first += size) {
    const TokenBatch tokens =
        micro_batch(batch, first, std::min(size, rows - first), inputs.rope, options_);
    nats.push_back(nats_of_rows(pass(tokens), batch.tokens_RT.size(1)));
  }
  if (!nats.empty()) add_losses(at::cat(nats).cpu(), batch.loss_mask_RT, batch.source_R, sums);
}

/// Tensor-parallel peers compute the same losses; the first of them speaks for its replica.
double TrainStep::reduce_sums(double sum_of_squares, LossSums& sums) {
  const int64_t s = static_cast<int64_t>(num_sources_);
  at::Tensor values = at::zeros({1 + 2 * s}, at::kDouble);
  double* value = values.mutable_data_ptr<double>();
  value[0] = sum_of_squares;
  if (context_.mesh.tp_rank == 0) {
    std::copy(sums.nats.begin(), sums.nats.end(), value + 1);
    std::copy(sums.targets.begin(), sums.targets.end(), value + 1 + s);
  }
  context_.control.all_reduce(values, ReduceOp::kSum, SumOrder::kRankOrder)->wait();
  sums.nats.assign(value + 1, value + 1 + s);
  sums.targets.assign(value + 1 + s, value + 1 + 2 * s);
  return value[0];
}

StepResult TrainStep::run(const Batch& batch, const StepInputs& inputs) {
  StepResult result;
  LossSums& sums = result.by_source;
  sums.nats.resize(num_sources_);
  sums.targets.resize(num_sources_);
  accumulate(batch, inputs, sums);
  const std::vector<at::Tensor>& grad_shares = grads_.finish();
  const double sum_of_squares = reduce_sums(
      local_sum_of_squares(grad_shares, parameters_.buckets(), context_.mesh.tp_rank == 0), sums);
  const double num_valid = std::max(sums.total_targets(), 1.0);
  const ClippedGradient clipped = clip_gradient(sum_of_squares, num_valid, clip_grad_norm_);
  result.loss = sums.total_nats() / num_valid;
  result.grad_norm = clipped.norm;
  result.updated = clipped.finite && std::isfinite(result.loss);
  if (result.updated) {
    optimizer_.update(grad_shares, inputs.learning_rate, clipped.scale, inputs.num_updates);
    grads_.note_cleared();
    optimizer_.gather_weights();
  }
  return result;
}

}  // namespace phalanx
