// reproducible: dp_invariant. Sixty steps on 1, 2, 4 and 8 replicas give the same bits of every
// loss, norm and weight.
#include <gtest/gtest.h>

#include <bit>
#include <mutex>
#include <string>

#include "tests/support/ranks.h"
#include "tests/trainer/mesh_run.h"

namespace phalanx {
namespace {

MeshRunOptions tree_options(Precision precision) {
  MeshRunOptions options;
  options.reproducible = Reproducible::kDpInvariant;
  options.precision = precision;
  options.num_steps = 60;
  options.rows_per_step = 8;
  return options;
}

/// Of the first replica, by tensor-parallel rank.
std::vector<MeshRunResult> run(const MeshRunOptions& options, int tensor, int replicas) {
  std::vector<MeshRunResult> results(static_cast<size_t>(tensor));
  run_ranks(tensor * replicas, [&](Communicator& world) {
    MeshRunOptions mine = options;
    mine.tensor_parallel_size = tensor;
    MeshRunResult result = run_on_mesh(world, mine);
    if (world.rank() < tensor) results[static_cast<size_t>(world.rank())] = std::move(result);
  });
  return results;
}

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](double x, double y) {
    return std::bit_cast<uint64_t>(x) == std::bit_cast<uint64_t>(y);
  });
}

bool same(const std::vector<MeshRunResult>& a, const std::vector<MeshRunResult>& b) {
  bool equal = a.size() == b.size();
  for (size_t rank = 0; equal && rank < a.size(); ++rank) {
    equal &= same_bits(a[rank].losses, b[rank].losses);
    equal &= same_bits(a[rank].grad_norms, b[rank].grad_norms);
    for (size_t i = 0; i < a[rank].weights.size(); ++i) {
      equal &= at::equal(a[rank].weights[i], b[rank].weights[i]);
    }
  }
  return equal;
}

void expect_the_bits_of_one_replica(const MeshRunOptions& options, int tensor,
                                    const std::vector<int>& replicas) {
  const std::vector<MeshRunResult> expected = run(options, tensor, 1);
  EXPECT_LT(expected[0].losses.back(), expected[0].losses.front());
  EXPECT_EQ(expected[0].losses.size(), static_cast<size_t>(options.num_steps));
  for (const int count : replicas) {
    EXPECT_TRUE(same(run(options, tensor, count), expected)) << tensor << " x " << count;
  }
}

TEST(DpInvariant, SixtyStepsInFp32AreTheSameBitsOnOneToEightReplicas) {
  expect_the_bits_of_one_replica(tree_options(Precision::kFp32), 1, {2, 4, 8});
}

TEST(DpInvariant, SixtyStepsInBf16AreTheSameBitsOnOneToEightReplicas) {
  expect_the_bits_of_one_replica(tree_options(Precision::kBf16), 1, {2, 4, 8});
}

TEST(DpInvariant, ItHoldsOnTwoTensorParallelRanks) {
  for (const bool sequence_parallel : {false, true}) {
    MeshRunOptions options = tree_options(Precision::kFp32);
    options.sequence_parallel = sequence_parallel;
    expect_the_bits_of_one_replica(options, 2, {2, 4});
  }
}

TEST(DpInvariant, ItHoldsForGroupsOfThreeMaskedDocumentsTiedWeightsAndBf16State) {
  MeshRunOptions options = tree_options(Precision::kBf16);
  options.num_steps = 20;
  options.rows_per_step = 24;
  options.micro_batch_size = 2;
  options.leaf_group_size = 3;
  options.document_mask = true;
  options.shape.tie_word_embeddings = true;
  options.recompute = Recompute::kFull;
  options.optimizer.state = options.optimizer.master = Precision::kBf16;
  expect_the_bits_of_one_replica(options, 1, {2, 4});
}

TEST(DpInvariant, WithoutItBitsDependOnTheReplicas) {
  MeshRunOptions options = tree_options(Precision::kFp32);
  const std::vector<MeshRunResult> tree = run(options, 1, 2);
  options.reproducible = Reproducible::kOff;
  const std::vector<MeshRunResult> one = run(options, 1, 1), two = run(options, 1, 2);
  EXPECT_FALSE(same(one, two));
  EXPECT_FALSE(same(two, tree));
  EXPECT_NEAR(two[0].losses[0] / tree[0].losses[0], 1, 1e-6);
}

TEST(SameMesh, TwoRunsOnOneMeshGiveEqualBits) {
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    MeshRunOptions options = tree_options(precision);
    options.reproducible = Reproducible::kSameMesh;
    options.num_steps = 30;
    EXPECT_TRUE(same(run(options, 2, 2), run(options, 2, 2)));
  }
}

}  // namespace
}  // namespace phalanx
