#pragma once
// Looks at a step's loss and gradient norm before the optimizer changes anything, and decides:
// train on it, pass it over, or end. A suspicious step (not finite, or a spike) is computed again:
// if it comes out differently it was a transient fault of the machine, and the second result
// counts. If it comes out the same and there are several replicas, each computes the rows of its
// neighbour: what then comes out the same is real, what does not is a persistent fault of a
// machine. On GPUs without `reproducible` gradients are sums of atomics, whose order is another
// each time: there "the same" is to rounding. Collective over tp, dp and control: run(), every
// rank, once a step; all decide alike, since losses and norms are those of all. Ownership: refers
// to everything it is given. Errors: AgreedError with ExitCode::kFaultyHardware on a persistent
// fault, naming replicas with their ranks, hosts and devices.
#include <functional>
#include <string>
#include <vector>

#include "trainer/spike_window.h"
#include "trainer/state_check.h"
#include "trainer/train_step.h"

namespace phalanx {

/// What two computations of one thing have in common.
enum class SameAgain { kBits, kRounding };
SameAgain same_again(at::Device device, Reproducible reproducible);

class StepGuard {
 public:
  /// The rows of a replica in the step at hand.
  using RowsOf = std::function<Batch(int dp_rank)>;

  StepGuard(TrainStep& step, StateCheck& check, const RunContext& context,
            const NumbersConfig& config, SameAgain again)
      : step_(step), check_(check), context_(context), config_(config), same_again_(again) {}

  /// `number` of the step, from 1. `recent` takes the step in if it is trained on.
  StepResult run(const Batch& batch, const StepInputs& inputs, int64_t number, RecentSteps& recent,
                 const RowsOf& rows_of);

 private:
  StepResult compute_on_sound_weights(const Batch& batch, const StepInputs& inputs, int64_t number,
                                      const RecentSteps& recent);
  Suspicion suspicion_of(const StepResult& result, const RecentSteps& recent) const;
  Verdict look_again(const Batch& batch, const StepInputs& inputs, int64_t number,
                     const RowsOf& rows_of, StepResult& result);
  Verdict ask_the_others(const StepResult& first, const StepInputs& inputs, int64_t number,
                         const RowsOf& rows_of);
  /// Nats of each replica's rows, computed there and by the replica before it.
  struct MovedNats {
    std::vector<double> at_home, elsewhere;
  };
  MovedNats gather_nats(double own, double others);
  std::string suspected_replicas(const MovedNats& nats);
  bool same(double a, double b) const;

  TrainStep& step_;
  StateCheck& check_;
  const RunContext& context_;
  const NumbersConfig& config_;
  SameAgain same_again_;
};

}  // namespace phalanx
