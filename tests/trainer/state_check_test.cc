// Bits that flip in weights, masters and moments: who notices, what is done, and that the run
// afterwards is the one that would have been.
#include <mutex>

#include "tests/trainer/guarded_run.h"
#include "trainer/checkpoint/share_pieces.h"

namespace phalanx {
namespace {

/// Flips a bit of the weights that rank 2 reads in `step`.
GuardedRun::Faults flipped_weight(int64_t step, int bit) {
  GuardedRun::Faults faults;
  faults.state = [=](const RunContext& context, int64_t at, Replica& replica) {
    if (at != step || context.mesh.rank() != 2) return;
    const at::Tensor bits = replica.parameters().parameters()[3]->ready().view(at::kInt);
    bits.flatten()[5].bitwise_xor_(1 << bit);
  };
  return faults;
}

constexpr int kLastBit = 0, kHighestOfExponent = 30;

TEST(StateCheck, AFlippedBitInOneCopyOfTheWeightsIsFoundAndLeavesNoTrace) {
  NumbersConfig numbers;
  numbers.check_interval = 3;
  for (const int tensor : {1, 2}) {
    const Outcome expected = run(4, numbers, {}, options_of(tensor));
    const Outcome found = run(4, numbers, flipped_weight(6, kLastBit), options_of(tensor));
    expect_the_same_run(found, expected);
    // Of two copies nobody knows which is wrong.
    const std::string first = tensor == 1 ? "" : rank_place(0, at::kCPU) + ", ";
    const std::string place = " on " + first + rank_place(2, at::kCPU) + ". Made again from";
    const std::string& note = found.steps[5].review.note;
    EXPECT_NE(note.find("step 6: copies of weights differed: "), std::string::npos) << note;
    EXPECT_NE(note.find(place), std::string::npos) << note;
    EXPECT_EQ(found.steps[5].review.verdict, Verdict::kNone);
    for (size_t i = 0; i < found.steps.size(); ++i) {
      EXPECT_EQ(found.steps[i].review.note.empty(), i != 5) << i;
    }
  }
}

/// What cannot be so makes the weights be looked at before their turn.
TEST(StateCheck, AFlippedBitThatShowsInTheLossIsFoundWhereverItFalls) {
  NumbersConfig numbers;
  numbers.check_interval = 100;
  const Outcome expected = run(4, numbers, {});
  const Outcome found = run(4, numbers, flipped_weight(5, kHighestOfExponent));
  expect_the_same_run(found, expected);
  const std::string& note = found.steps[4].review.note;
  EXPECT_NE(note.find("step 5: copies of weights differed: "), std::string::npos) << note;
  EXPECT_TRUE(found.steps[4].updated);
}

/// What every rank is sent may be the wrong copy.
TEST(StateCheck, CopiesWithoutMastersThatDifferEndTheRun) {
  NumbersConfig numbers;
  numbers.check_interval = 3;
  MeshRunOptions options = options_of();
  options.precision = Precision::kBf16;
  options.optimizer.master = Precision::kBf16;
  GuardedRun::Faults faults;
  faults.state = [](const RunContext& context, int64_t at, Replica& replica) {
    if (at != 6 || context.mesh.rank() != 0) return;
    const at::Tensor bits = replica.parameters().parameters()[3]->ready().view(at::kShort);
    bits.flatten()[5].bitwise_xor_(1);
  };
  const auto [message, code] = error_of([&] { (void)run(4, numbers, faults, options); });
  EXPECT_EQ(code, ExitCode::kFaultyHardware) << message;
  EXPECT_NE(message.find("numbers: step 6: copies of weights differ: "), std::string::npos);
  EXPECT_NE(message.find(" on " + rank_place(0, at::kCPU) + ". They have no masters"),
            std::string::npos)
      << message;
  numbers.check_interval = 4;  // nothing is compared before all have been sent it
  EXPECT_EQ(error_of([&] { (void)run(4, numbers, faults, options); }).first, "");
}

/// A weight that is not cut over tp, and whose masters differ: it cannot be mended.
TEST(StateCheck, CopiesThatDifferAgainEndTheRun) {
  GuardedRun::Faults faults;
  faults.state = [](const RunContext& context, int64_t step, Replica& replica) {
    if (step != 5 || context.mesh.rank() != 1) return;
    for (const auto& parameter : replica.parameters().parameters()) {
      if (parameter->name != "norm.weight") continue;
      replica.optimizer().shares()[static_cast<size_t>(parameter->bucket)].master.add_(0.25);
    }
  };
  NumbersConfig numbers;
  numbers.check_interval = 6;
  const auto [message, code] = error_of([&] { (void)run(2, numbers, faults, options_of(2)); });
  EXPECT_EQ(code, ExitCode::kFaultyHardware) << message;
  EXPECT_NE(message.find("numbers: step 6: copies of weights differ: "), std::string::npos);
  EXPECT_NE(message.find("norm.weight on " + rank_place(0, at::kCPU)), std::string::npos);
  EXPECT_NE(message.find(", and again after they were made from the masters: "), std::string::npos);
}

TEST(StateCheck, AFlippedBitInAMasterEndsTheRunBeforeItIsUsed) {
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
TEST(StateCheck, ARankWithoutStateTakesPartInTheChecks) {
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
