#pragma once
// One rank's part of the model with its gradients and optimizer: what a step works on.
// Collective: the constructor over dp (weights are gathered once), every rank.
// Ownership: owns parameters, model, buckets and optimizer; refers to the RunContext.
#include <memory>

#include "model/phi4.h"
#include "parallel/grad_buckets.h"
#include "trainer/adamw.h"
#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/run_config.h"
#include "trainer/run_context.h"

namespace phalanx {

/// A checkpoint to begin from, and whether Adam's moments are taken besides the weights.
struct StartTensors {
  CheckpointReader* checkpoint = nullptr;
  bool moments = true;
};

class Replica {
 public:
  /// Weights from a checkpoint if there is one, else from model.init_from, else random.
  Replica(const RunConfig& config, const RunContext& context, const StartTensors& start);
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  ParameterSet& parameters() { return parameters_; }
  const Phi4& model() const { return model_; }
  GradBuckets& grads() { return *grads_; }
  AdamW& optimizer() { return *optimizer_; }

 private:
  void load(const RunConfig& config, const StartTensors& start);
  void draw_masters(const RunConfig& config);

  ParameterSet parameters_;
  TensorParallel tensor_parallel_;
  Phi4 model_;
  std::unique_ptr<GradBuckets> grads_;
  std::unique_ptr<AdamW> optimizer_;
};

}  // namespace phalanx
