// Losses, norms and copies of weights that are wrong: who notices, what is done, and that the run
// afterwards is the one that would have been.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <mutex>

#include "parallel/agreement.h"
#include "parallel/rank_place.h"
#include "tests/support/ranks.h"
#include "tests/trainer/mesh_run.h"
#include "trainer/checkpoint/share_pieces.h"
#include "trainer/step_guard.h"
#include "trainer/step_policy.h"

namespace phalanx {
namespace {

constexpr int64_t kSteps = 12;

/// A run whose numbers are looked at, with ways to make them wrong.
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

MeshRunOptions options_of(int tensor = 1) {
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
Outcome run(int ranks, const NumbersConfig& numbers, const GuardedRun::Faults& faults,
            const MeshRunOptions& options = options_of(), SameAgain again = SameAgain::kBits) {
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

void expect_the_same_run(const Outcome& found, const Outcome& expected) {
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
std::pair<std::string, ExitCode> error_of(const std::function<void()>& body) {
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

const std::vector<double> kNotFinite{std::nan(""), std::numeric_limits<double>::infinity()};

TEST(StepGuard, NothingIsSaidOfARunInWhichNothingIsWrong) {
  NumbersConfig numbers;
  numbers.check_interval = 1;
  numbers.spikes.policy = SpikePolicy::kSkip;
  const Outcome looked_at = run(4, numbers, {}, options_of(2));
  numbers.check_interval = 0;
  numbers.spikes.policy = SpikePolicy::kOff;
  const Outcome plain = run(4, numbers, {}, options_of(2));
  expect_the_same_run(looked_at, plain);
  for (const StepResult& step : looked_at.steps) EXPECT_EQ(step.review.note, "");
  EXPECT_EQ(looked_at.recent.losses.size(), static_cast<size_t>(kSteps));
  EXPECT_TRUE(plain.recent.losses.empty());
}

TEST(StepGuard, ATransientFaultOnOneRankIsTakenBackAndLeavesNoTrace) {
  const Outcome expected = run(2, {}, {});
  for (const double value : kNotFinite) {
    for (const int faulty : {0, 1}) {
      GuardedRun::Faults faults;
      faults.gradients = [&](const RunContext& context, int64_t computation, const auto& shares) {
        if (computation == 4 && context.mesh.rank() == faulty) shares[0][7].fill_(value);
      };
      const Outcome found = run(2, {}, faults);
      expect_the_same_run(found, expected);
      const StepReview& review = found.steps[4].review;
      EXPECT_EQ(review.verdict, Verdict::kTransient);
      EXPECT_EQ(review.suspicion, Suspicion::kNone);
      EXPECT_NE(review.note.find("step 5: loss"), std::string::npos) << review.note;
      EXPECT_NE(review.note.find("transient"), std::string::npos) << review.note;
      EXPECT_TRUE(found.steps[4].updated);
    }
  }
}

/// Rows of one step whose loss is not finite wherever they are computed.
GuardedRun::Faults bad_data(int64_t first_computation, int64_t end_computation) {
  GuardedRun::Faults faults;
  faults.gradients = [=](const RunContext& context, int64_t computation, const auto& shares) {
    const bool bad = computation >= first_computation && computation < end_computation;
    if (bad && context.mesh.rank() == 0) shares[0][7].fill_(std::nan(""));
  };
  return faults;
}

TEST(StepGuard, WhatAnotherReplicaComputesTooIsRealAndIsSkippedEverywhere) {
  // Three computations of step 3: twice here, once by the neighbours.
  const Outcome found = run(2, {}, bad_data(2, 5));
  ASSERT_EQ(found.steps.size(), static_cast<size_t>(kSteps));
  EXPECT_EQ(found.steps[2].review.verdict, Verdict::kReal);
  EXPECT_EQ(found.steps[2].review.suspicion, Suspicion::kNotFinite);
  EXPECT_FALSE(found.steps[2].updated);
  EXPECT_TRUE(found.steps[3].updated);
  EXPECT_EQ(found.updates, kSteps - 1);
  EXPECT_TRUE(std::isfinite(found.steps.back().loss));
  const Outcome alone = run(1, {}, bad_data(2, 4));
  EXPECT_EQ(alone.steps[2].review.verdict, Verdict::kRepeated);
  EXPECT_FALSE(alone.steps[2].updated);
  NumbersConfig once;
  once.run_again = false;
  const Outcome quick = run(1, once, bad_data(2, 3));
  EXPECT_EQ(quick.steps[2].review.verdict, Verdict::kNone);
  EXPECT_FALSE(quick.steps[2].updated);
}

TEST(StepGuard, AStepThatIsSkippedLeavesWeightsAndMomentsAsTheyWere) {
  std::vector<std::vector<at::Tensor>> before(2), after(2);
  GuardedRun::Faults faults = bad_data(2, 5);
  const auto copies = [](Replica& replica) {
    std::vector<at::Tensor> all;
    for (const BucketShare& share : replica.optimizer().shares()) {
      for (const at::Tensor& t : {share.master, share.exp_avg, share.exp_avg_sq}) {
        all.push_back(t.clone());
      }
    }
    return all;
  };
  faults.state = [&](const RunContext& context, int64_t step, Replica& replica) {
    const auto rank = static_cast<size_t>(context.mesh.rank());
    if (step == 3) before[rank] = copies(replica);
    if (step == 4) after[rank] = copies(replica);
  };
  (void)run(2, {}, faults);
  for (size_t rank = 0; rank < 2; ++rank) {
    ASSERT_FALSE(before[rank].empty());
    for (size_t i = 0; i < before[rank].size(); ++i) {
      EXPECT_TRUE(at::equal(before[rank][i], after[rank][i])) << rank << ", " << i;
    }
  }
}

TEST(StepGuard, AFaultThatStaysWithAMachineEndsTheRunAndNamesItsReplica) {
  // The machine of replica 1 computes a wrong gradient and a wrong loss whatever its rows are.
  GuardedRun::Faults faults;
  faults.state = [](const RunContext& context, int64_t step, Replica& replica) {
    if (step != 3 || context.mesh.dp_rank != 1) return;
    for (const auto& parameter : replica.parameters().parameters()) {
      if (parameter->name == "norm.weight") parameter->ready().fill_(1e4);
    }
  };
  NumbersConfig numbers;
  numbers.check_interval = 0;
  numbers.spikes = {SpikePolicy::kSkip, 3, 4, 0};
  MeshRunOptions options = options_of();
  options.rows_per_step = 8;
  const auto [message, code] = error_of([&] { (void)run(4, numbers, faults, options); });
  EXPECT_EQ(code, ExitCode::kFaultyHardware) << message;
  EXPECT_NE(message.find("numbers: step 3: loss"), std::string::npos) << message;
  const std::string place = "persistent, on replica 1: " + rank_place(1, at::kCPU) + ". Go on";
  EXPECT_NE(message.find(place), std::string::npos) << message;
}

TEST(StepGuard, SpikesAreSkippedAndDoNotEnterTheWindow) {
  GuardedRun::Faults faults;
  faults.gradients = [](const RunContext&, int64_t computation, const auto& shares) {
    if (computation == 8 || computation == 9 || computation == 10) {
      for (const at::Tensor& share : shares) share.mul_(10);
    }
  };
  NumbersConfig numbers;
  numbers.spikes = {SpikePolicy::kSkip, 6, 8, 0};
  const Outcome found = run(2, numbers, faults);
  EXPECT_EQ(found.steps[8].review.suspicion, Suspicion::kSpike) << found.steps[8].grad_norm;
  EXPECT_EQ(found.steps[8].review.verdict, Verdict::kReal);
  EXPECT_FALSE(found.steps[8].updated);
  EXPECT_TRUE(found.steps[9].updated);
  EXPECT_EQ(found.recent.grad_norms.size(), 8U);
  for (const double norm : found.recent.grad_norms) EXPECT_LT(norm, found.steps[8].grad_norm / 5);
}

/// As on GPUs whose sums have no order: a spike that comes out differently by a rounding is none
/// that went away, and one that is gone is.
TEST(StepGuard, WithoutTheSameBitsASpikeIsTheSameToRounding) {
  EXPECT_EQ(same_again(at::kCPU, Reproducible::kOff), SameAgain::kBits);
  EXPECT_EQ(same_again(at::kCUDA, Reproducible::kOff), SameAgain::kRounding);
  EXPECT_EQ(same_again(at::kCUDA, Reproducible::kSameMesh), SameAgain::kBits);
  for (const bool stays : {true, false}) {
    GuardedRun::Faults faults;
    faults.gradients = [&](const RunContext&, int64_t computation, const auto& shares) {
      const double factor = computation == 8 ? 10 : computation == 9 && stays ? 10 * (1 + 1e-5) : 1;
      for (const at::Tensor& share : shares) share.mul_(factor);
    };
    NumbersConfig numbers;
    numbers.spikes = {SpikePolicy::kSkip, 6, 8, 0};
    const auto step_of = [&](SameAgain again) {
      return run(1, numbers, faults, options_of(), again).steps[8];
    };
    const StepReview found = step_of(SameAgain::kRounding).review;
    EXPECT_EQ(found.verdict, stays ? Verdict::kRepeated : Verdict::kTransient);
    EXPECT_EQ(found.suspicion, stays ? Suspicion::kSpike : Suspicion::kNone);
    EXPECT_EQ(step_of(SameAgain::kBits).review.verdict, Verdict::kTransient);
  }
}

TEST(StepGuard, AFlippedBitInOneCopyOfTheWeightsIsFoundAndMended) {
  for (const int tensor : {1, 2}) {
    const Outcome expected = run(4, {}, {}, options_of(tensor));
    std::string note;
    std::mutex mutex;
    run_ranks(4, [&](Communicator& world) {
      NumbersConfig numbers;
      numbers.check_interval = 3;
      const TestMesh mesh(world, tensor);
      Replica replica(GuardedRun::config_of(options_of(tensor)), mesh.context, {});
      StateCheck check(replica.parameters(), replica.optimizer(), mesh.context, 3);
      std::vector<at::Tensor> before;
      for (const auto& p : replica.parameters().parameters()) before.push_back(p->ready().clone());
      EXPECT_EQ(check.after_update(2), "") << "not due";
      EXPECT_EQ(check.after_update(3), "") << "nothing is wrong";
      if (world.rank() == 2) {
        const at::Tensor bits = replica.parameters().parameters()[3]->ready().view(at::kInt);
        bits.flatten()[5].bitwise_xor_(1);
      }
      const std::string found = check.after_update(6);
      const std::string name = replica.parameters().parameters()[3]->name;
      for (size_t i = 0; i < before.size(); ++i) {
        EXPECT_TRUE(at::equal(replica.parameters().parameters()[i]->ready(), before[i]));
      }
      const std::lock_guard lock(mutex);
      note = found;
      EXPECT_NE(found.find("step 6: copies of weights differed: " + name + " on rank"),
                std::string::npos)
          << found;
    });
    // Of two copies nobody knows which is wrong.
    const std::string first = tensor == 1 ? "" : rank_place(0, at::kCPU) + ", ";
    EXPECT_NE(note.find("on " + first + rank_place(2, at::kCPU) + ". Made"), std::string::npos)
        << note;
  }
}

TEST(StepGuard, AFlippedBitInAMasterEndsTheRunBeforeItIsUsed) {
  for (const auto member : {&BucketShare::master, &BucketShare::exp_avg_sq}) {
    GuardedRun::Faults faults;
    faults.state = [&](const RunContext& context, int64_t step, Replica& replica) {
      if (step != 5 || context.mesh.rank() != 1) return;
      (replica.optimizer().shares()[0].*member).view(at::kInt)[3].bitwise_xor_(1 << 20);
    };
    NumbersConfig numbers;
    numbers.check_interval = 2;
    const auto [message, code] = error_of([&] { (void)run(2, numbers, faults); });
    EXPECT_EQ(code, ExitCode::kFaultyHardware) << message;
    EXPECT_NE(message.find(member == &BucketShare::master ? "numbers: master of "
                                                          : "numbers: exp_avg_sq of "),
              std::string::npos)
        << message;
    const std::string place = " on " + rank_place(1, at::kCPU) + " of replica 1 changed between";
    EXPECT_NE(message.find(place), std::string::npos) << message;
    numbers.check_interval = 3;  // not hashed after step 4
    EXPECT_EQ(error_of([&] { (void)run(2, numbers, faults); }).first, "");
  }
}

/// A rank that holds padding alone has nothing to hash, and must not leave the others waiting.
TEST(StepGuard, ARankWithoutStateTakesPartInTheChecks) {
  MeshRunOptions options = options_of();
  options.num_steps = 3;
  options.rows_per_step = 8;
  options.shape.vocab_size = 64;
  options.shape.num_hidden_layers = 1;
  bool one_is_empty = false;
  std::mutex mutex;
  run_ranks(8, [&](Communicator& world) {
    NumbersConfig numbers;
    numbers.check_interval = 1;
    GuardedRun guarded(world, options, numbers, {});
    EXPECT_EQ(guarded.run().size(), 3u);
    const TestMesh mesh(world, 1);
    Replica replica(GuardedRun::config_of(options), mesh.context, {});
    const std::lock_guard lock(mutex);
    one_is_empty |= share_pieces(replica.parameters(), replica.optimizer().shares()).empty();
  });
  EXPECT_TRUE(one_is_empty) << "else this shows nothing";
}

}  // namespace
}  // namespace phalanx
