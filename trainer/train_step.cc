#include "trainer/train_step.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "trainer/grad_norm.h"

namespace phalanx {

double LossSums::total_nats() const { return std::accumulate(nats.begin(), nats.end(), 0.0); }
double LossSums::total_targets() const {
  return std::accumulate(targets.begin(), targets.end(), 0.0);
}

bool StepResult::is_finite() const { return std::isfinite(loss) && std::isfinite(grad_norm); }

at::Tensor nats_of_rows(const at::Tensor& loss_N, int64_t length) {
  return loss_N.view({-1, length}).sum(1, /*keepdim=*/false, at::kDouble);
}

void each_loss(const at::Tensor& nats_R, const at::Tensor& mask_RT,
               const std::vector<int32_t>& source_R, const TakeLoss& take) {
  const at::Tensor targets_R = mask_RT.sum(1);
  for (int64_t row = 0; row < nats_R.size(0); ++row) {
    take(static_cast<size_t>(source_R[row]), nats_R.const_data_ptr<double>()[row],
         static_cast<double>(targets_R.const_data_ptr<int64_t>()[row]));
  }
}

void add_losses(const at::Tensor& nats_R, const at::Tensor& mask_RT,
                const std::vector<int32_t>& source_R, LossSums& sums) {
  each_loss(nats_R, mask_RT, source_R, [&](size_t source, double nats, double targets) {
    sums.nats[source] += nats;
    sums.targets[source] += targets;
  });
}

TrainStep::TrainStep(const Phi4& model, ParameterSet& parameters, GradBuckets& grads,
                     AdamW& optimizer, const RunContext& context, double clip_grad_norm,
                     size_t num_sources, const MicroBatchOptions& options, bool cuda_graphs,
                     Summation summation, GradientProbe probe)
    : model_(model),
      parameters_(parameters),
      grads_(grads),
      optimizer_(optimizer),
      context_(context),
      clip_grad_norm_(clip_grad_norm),
      num_sources_(num_sources),
      options_(options),
      summation_(summation),
      probe_(std::move(probe)),
      graphed_(cuda_graphs ? std::make_unique<GraphedPass>(model, grads) : nullptr) {}

at::Tensor TrainStep::pass(const TokenBatch& tokens) {
  return graphed_ ? graphed_->loss(tokens) : model_.loss(tokens, &grads_);
}

/// Tensor-parallel peers compute the same losses; the first of them speaks for its replica.
void TrainStep::accumulate(const Batch& batch, const StepInputs& inputs, WorldSums& sums) {
  const int64_t rows = batch.tokens_RT.size(0), size = inputs.micro_batch_size;
  own_nats_ = 0.0;
  grads_.begin_step((rows + size - 1) / size, inputs.num_updates);
  // Losses stay on their device until all passes are under way: the host must not wait for each.
  std::vector<at::Tensor> nats;
  for (int64_t first = 0; first < rows; first += size) {
    const TokenBatch tokens =
        micro_batch(batch, first, std::min(size, rows - first), inputs.rope, options_);
    nats.push_back(nats_of_rows(pass(tokens), batch.tokens_RT.size(1)));
  }
  if (nats.empty()) return;
  const at::Tensor nats_R = at::cat(nats).cpu();
  own_nats_ = nats_R.sum().item<double>();
  if (context_.mesh.tp_rank != 0) return;
  each_loss(nats_R, batch.loss_mask_RT, batch.source_R,
            [&](size_t source, double nats_of_row, double targets) {
              sums.add(1 + source, nats_of_row);
              sums.add(1 + num_sources_ + source, targets);
            });
}

LossSums TrainStep::losses_of(const WorldSums& sums) const {
  LossSums losses;
  for (size_t s = 0; s < num_sources_; ++s) {
    losses.nats.push_back(sums[1 + s]);
    losses.targets.push_back(sums[1 + num_sources_ + s]);
  }
  return losses;
}

StepResult TrainStep::compute(const Batch& batch, const StepInputs& inputs) {
  WorldSums sums(1 + 2 * num_sources_, summation_);  // squares, nats and targets by source
  accumulate(batch, inputs, sums);
  grad_shares_ = &grads_.finish();
  if (probe_) probe_(*grad_shares_);
  const bool first_of_tensor_axis = context_.mesh.tp_rank == 0;
  for (const std::vector<double>& squares :
       block_squares(*grad_shares_, parameters_.buckets(), first_of_tensor_axis)) {
    sums.add_all(0, squares);
  }
  sums.reduce(context_.control);
  StepResult result;
  result.by_source = losses_of(sums);
  const double num_valid = std::max(result.by_source.total_targets(), 1.0);
  const ClippedGradient clipped = clip_gradient(sums[0], num_valid, clip_grad_norm_);
  result.loss = result.by_source.total_nats() / num_valid;
  result.grad_norm = clipped.norm;
  result.updated = false;
  grad_scale_ = clipped.scale;
  return result;
}

void TrainStep::update(const StepInputs& inputs) {
  TORCH_INTERNAL_ASSERT(grad_shares_ != nullptr, "no gradient was computed since the last update");
  optimizer_.update(*std::exchange(grad_shares_, nullptr), inputs.learning_rate, grad_scale_,
                    inputs.num_updates);
  grads_.note_cleared();
  optimizer_.gather_weights();
}

StepResult TrainStep::run(const Batch& batch, const StepInputs& inputs) {
  StepResult result = compute(batch, inputs);
  result.updated = result.is_finite();
  if (result.updated) update(inputs);
  return result;
}

}  // namespace phalanx
