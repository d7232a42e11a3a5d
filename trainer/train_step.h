#pragma once
// One optimizer step: forward and backward over the replica's micro-batches, the reduced gradient's
// norm, the update, the weights brought together again.
// Collective over tp, dp and control: every rank, same order. compute() changes nothing but the
// gradients and may be called again for the same step; update() takes in what it left. Losses and
// gradients are in units of sums; one over the global number of valid targets is folded into the
// clip factor. Ownership: refers to everything it is given.
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "data/mixture/batch.h"
#include "model/phi4.h"
#include "parallel/grad_buckets.h"
#include "trainer/adamw.h"
#include "trainer/graphed_pass.h"
#include "trainer/micro_batch.h"
#include "trainer/run_context.h"
#include "trainer/step_review.h"
#include "trainer/world_sums.h"

namespace phalanx {

/// Sums over the global batch, by source in name order.
struct LossSums {
  std::vector<double> nats;     // of valid targets
  std::vector<double> targets;  // valid ones
  double total_nats() const;
  double total_targets() const;
};

struct StepResult {
  double loss = 0.0;       // nats a valid target, over the global batch
  double grad_norm = 0.0;  // of the mean gradient, before clipping
  bool updated = true;     // false: the loss or the norm was not as it should be, weights stayed
  LossSums by_source;
  StepReview review;       // by StepGuard
  bool is_finite() const;  // loss and norm
};

struct StepInputs {
  const RopeTable& rope;
  int64_t micro_batch_size = 1;
  double learning_rate = 0.0;
  int64_t num_updates = 1;  // this one included
};

/// Sees this rank's reduced gradient shares before anything is computed from them.
using GradientProbe = std::function<void(const std::vector<at::Tensor>& grad_shares)>;

class TrainStep {
 public:
  /// `probe`: for tests, which change what they are shown. `summation`: of losses and squares of
  /// the gradient.
  TrainStep(const Phi4& model, ParameterSet& parameters, GradBuckets& grads, AdamW& optimizer,
            const RunContext& context, double clip_grad_norm, size_t num_sources,
            const MicroBatchOptions& options, bool cuda_graphs = false,
            Summation summation = Summation::kInOrder, GradientProbe probe = nullptr);

  /// compute(), and update() unless loss or norm are not finite.
  StepResult run(const Batch& batch, const StepInputs& inputs);
  /// Forward and backward passes, losses and norm. `updated` is false.
  StepResult compute(const Batch& batch, const StepInputs& inputs);
  void update(const StepInputs& inputs);
  /// Nats of this replica's rows in the last compute().
  double own_nats() const { return own_nats_; }

 private:
  at::Tensor pass(const TokenBatch& tokens);
  void accumulate(const Batch& batch, const StepInputs& inputs, WorldSums& sums);
  LossSums losses_of(const WorldSums& sums) const;

  const Phi4& model_;
  ParameterSet& parameters_;
  GradBuckets& grads_;
  AdamW& optimizer_;
  const RunContext& context_;
  double clip_grad_norm_;
  size_t num_sources_;
  MicroBatchOptions options_;
  Summation summation_;
  GradientProbe probe_;
  double own_nats_ = 0.0;
  double grad_scale_ = 0.0;                               // of the last compute()
  const std::vector<at::Tensor>* grad_shares_ = nullptr;  // as the scale
  std::unique_ptr<GraphedPass> graphed_;                  // null: passes run as they are
};

/// Sums of each row's losses, fp64, on their device: [B] of loss_N, N = B rows of `length` tokens.
at::Tensor nats_of_rows(const at::Tensor& loss_N, int64_t length);

/// Hands each row's source, nats and valid targets over, in order. Host tensors.
using TakeLoss = std::function<void(size_t source, double nats, double targets)>;
void each_loss(const at::Tensor& nats_R, const at::Tensor& mask_RT,
               const std::vector<int32_t>& source_R, const TakeLoss& take);

/// Adds each row's losses to its source.
void add_losses(const at::Tensor& nats_R, const at::Tensor& mask_RT,
                const std::vector<int32_t>& source_R, LossSums& sums);

}  // namespace phalanx
