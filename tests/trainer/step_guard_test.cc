// Losses and norms that are wrong: who notices, what is done, and that the run afterwards is the
// one that would have been.
#include <cmath>
#include <limits>

#include "tests/trainer/guarded_run.h"

namespace phalanx {
namespace {

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
  for (const double value : {1e4, std::nan("")}) {
    GuardedRun::Faults faults;
    faults.state = [value](const RunContext& context, int64_t step, Replica& replica) {
      if (step != 3 || context.mesh.dp_rank != 1) return;
      for (const auto& parameter : replica.parameters().parameters()) {
        if (parameter->name == "norm.weight") parameter->ready().fill_(value);
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

}  // namespace
}  // namespace phalanx
