#pragma once
// A run whose losses, norms and state are looked at, with ways to make them wrong: what tests of
// StepGuard and StateCheck share.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "parallel/agreement.h"
#include "parallel/rank_place.h"
#include "tests/support/ranks.h"
#include "tests/trainer/mesh_run.h"
#include "trainer/step_guard.h"
#include "trainer/step_policy.h"

namespace phalanx {

inline constexpr int64_t kSteps = 12;

class GuardedRun {
 public:
  struct Faults {
    /// Sees the reduced gradient shares of each computation, which count from 0.
    std::function<void(const RunContext&, int64_t computation, const std::vector<at::Tensor>&)>
        gradients = nullptr;
    /// Before each step, from 1.
    std::function<void(const RunContext&, int64_t step, Replica&)> state = nullptr;
  };

  GuardedRun(Communicator& world, const MeshRunOptions& options, const NumbersConfig& numbers,
             Faults faults, SameAgain again = SameAgain::kBits)
      : options_(options),
        numbers_(numbers),
        faults_(std::move(faults)),
        mesh_(world, options.tensor_parallel_size),
        replica_(config_of(options), mesh_.context, {}),
        step_(replica_.model(), replica_.parameters(), replica_.grads(), replica_.optimizer(),
              mesh_.context, /*clip_grad_norm=*/1.0, /*num_sources=*/2, {}, /*cuda_graphs=*/false,
              Summation::kInOrder,
              [this](const std::vector<at::Tensor>& shares) {
                if (faults_.gradients) faults_.gradients(mesh_.context, computation_++, shares);
              }),
        check_(replica_.parameters(), replica_.optimizer(), mesh_.context, numbers.check_interval),
        guard_(step_, check_, mesh_.context, numbers_, again) {}

  static RunConfig config_of(const MeshRunOptions& options) {
    RunConfig config = test_run_config(options.shape, options.tensor_parallel_size,
                                       options.sequence_parallel, options.precision);
    config.optimizer = options.optimizer;
    return config;
  }

  std::vector<StepResult> run() {
    const RopeTable rope(10000, options_.shape.head_dim, kRunLength, at::kCPU);
    BatchLoader loader = make_run_loader(options_, mesh_.mesh);
    std::vector<StepResult> results;
    while (!loader.done()) {
      if (faults_.state) faults_.state(mesh_.context, loader.cursor().step + 1, replica_);
      const Batch batch = loader.next();
      results.push_back(
          guard_.run(batch, {rope, options_.micro_batch_size, /*learning_rate=*/1e-3, ++updates_},
                     batch.step + 1, recent_, [&](int dp_rank) {
                       Mesh other = mesh_.mesh;
                       other.dp_rank = dp_rank;
                       BatchLoader rows = make_run_loader(options_, other);
                       rows.skip(batch.step);
                       return rows.next();
                     }));
      if (!results.back().updated) --updates_;
    }
    return results;
  }

  Replica& replica() { return replica_; }
  const RecentSteps& recent() const { return recent_; }
  int64_t updates() const { return updates_; }

 private:
  MeshRunOptions options_;
  NumbersConfig numbers_;
  Faults faults_;
  TestMesh mesh_;
  Replica replica_;
  int64_t computation_ = 0, updates_ = 0;
  TrainStep step_;
  StateCheck check_;
  StepGuard guard_;
  RecentSteps recent_;
};

inline MeshRunOptions options_of(int tensor = 1) {
  MeshRunOptions options;
  options.num_steps = kSteps;
  options.tensor_parallel_size = tensor;
  return options;
}

struct Outcome {
  std::vector<StepResult> steps;
  std::vector<at::Tensor> weights;
  RecentSteps recent;
  int64_t updates = 0;
};

/// On every rank; returned of the first.
inline Outcome run(int ranks, const NumbersConfig& numbers, const GuardedRun::Faults& faults,
                   const MeshRunOptions& options = options_of(),
                   SameAgain again = SameAgain::kBits) {
  Outcome outcome;
  run_ranks(ranks, [&](Communicator& world) {
    GuardedRun guarded(world, options, numbers, faults, again);
    Outcome mine{guarded.run(), {}, guarded.recent(), guarded.updates()};
    for (const auto& parameter : guarded.replica().parameters().parameters()) {
      mine.weights.push_back(parameter->ready().clone());
    }
    if (world.rank() == 0) outcome = std::move(mine);
  });
  return outcome;
}

inline void expect_the_same_run(const Outcome& found, const Outcome& expected) {
  ASSERT_EQ(found.steps.size(), expected.steps.size());
  for (size_t i = 0; i < found.steps.size(); ++i) {
    EXPECT_EQ(found.steps[i].loss, expected.steps[i].loss) << i;
    EXPECT_EQ(found.steps[i].grad_norm, expected.steps[i].grad_norm) << i;
  }
  for (size_t i = 0; i < found.weights.size(); ++i) {
    EXPECT_TRUE(at::equal(found.weights[i], expected.weights[i])) << i;
  }
}

/// Message and code of the error that ends all ranks.
inline std::pair<std::string, ExitCode> error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const RankFailure& failure) {
    try {
      std::rethrow_exception(failure.cause);
    } catch (const std::exception& error) {
      return {error.what(), exit_code_of(error)};
    }
  }
  return {"", ExitCode::kDone};
}

}  // namespace phalanx
