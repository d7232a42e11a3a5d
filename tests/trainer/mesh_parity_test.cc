// Training gives the same losses and gradient norms on every mesh, to rounding; initial weights are
// the same to the bit; recomputation changes no bit.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <mutex>
#include <string>

#include "tests/support/ranks.h"
#include "tests/trainer/mesh_run.h"

namespace phalanx {
namespace {

MeshRunResult run(int world_size, const MeshRunOptions& options) {
  MeshRunResult result;
  run_ranks(world_size, [&](Communicator& world) {
    const MeshRunResult mine = run_on_mesh(world, options);
    if (world.rank() == world_size - 1) result = mine;
  });
  return result;
}

MeshRunOptions on(int tensor_parallel_size, bool sequence_parallel, MeshRunOptions options = {}) {
  options.tensor_parallel_size = tensor_parallel_size;
  options.sequence_parallel = sequence_parallel;
  return options;
}

void expect_equal_to_rounding(const MeshRunResult& found, const MeshRunResult& expected,
                              const std::string& mesh) {
  ASSERT_EQ(found.losses.size(), expected.losses.size()) << mesh;
  ASSERT_EQ(found.losses.size(), 20U) << mesh;
  for (size_t i = 0; i < expected.losses.size(); ++i) {
    EXPECT_NEAR(found.losses[i] / expected.losses[i], 1, 1e-5) << mesh << ", step " << i;
    EXPECT_NEAR(found.grad_norms[i] / expected.grad_norms[i], 1, 1e-5) << mesh << ", step " << i;
  }
}

void expect_parity_at_small_meshes(const MeshRunOptions& options) {
  const MeshRunResult expected = run(1, on(1, false, options));
  EXPECT_LT(expected.losses.back(), expected.losses.front());
  for (const auto& [tp, dp] : {std::pair{2, 1}, {1, 2}, {2, 2}, {4, 1}}) {
    for (const bool sequence_parallel : {false, true}) {
      if (tp == 1 && sequence_parallel) continue;
      expect_equal_to_rounding(
          run(tp * dp, on(tp, sequence_parallel, options)), expected,
          std::to_string(tp) + "x" + std::to_string(dp) + (sequence_parallel ? " sp" : ""));
    }
  }
}

TEST(MeshParity, TwentyStepsAtTwoByOneOneByTwoTwoByTwoAndFourByOneEqualThoseOfOneRank) {
  expect_parity_at_small_meshes({});
}

TEST(MeshParity, ItHoldsForMaskedDocumentsAndMicroBatchesThatDoNotDivide) {
  MeshRunOptions options;
  options.document_mask = true;
  options.micro_batch_size = 3;
  expect_parity_at_small_meshes(options);
}

TEST(MeshParity, ItHoldsForTiedEmbeddings) {
  MeshRunOptions options;
  options.shape.tie_word_embeddings = true;
  expect_parity_at_small_meshes(options);
}

TEST(MeshParity, FortyQueryHeadsOverTenKeyValueHeadsEqualOneRankAtFourAndEight) {
  MeshRunOptions options;
  options.shape = test_shape(40, 10);
  options.shape.head_dim = 4;
  const MeshRunResult expected = run(1, on(1, false, options));
  for (const int tp : {4, 8}) {
    for (const bool sequence_parallel : {false, true}) {
      expect_equal_to_rounding(run(tp, on(tp, sequence_parallel, options)), expected,
                               std::to_string(tp) + "x1" + (sequence_parallel ? " sp" : ""));
    }
  }
}

/// Every parameter as a whole, from the parts that the ranks use.
std::map<std::string, at::Tensor> initial_weights(int world_size, int tensor_parallel_size,
                                                  const Phi4Config& shape) {
  std::map<std::string, at::Tensor> whole;
  std::mutex mutex;
  run_ranks(world_size, [&](Communicator& world) {
    const TestMesh mesh(world, tensor_parallel_size);
    Replica replica(test_run_config(shape, tensor_parallel_size, true), mesh.context, {});
    const std::lock_guard lock(mutex);
    for (const auto& parameter : replica.parameters().parameters()) {
      const ShardSpec& spec = parameter->spec;
      at::Tensor& full = whole[parameter->name];
      if (!full.defined()) full = at::full(spec.full_shape, std::nan(""));
      full.narrow(spec.dim, spec.used.begin, spec.used.size()).copy_(parameter->weight);
    }
  });
  return whole;
}

TEST(MeshParity, InitialWeightsAreTheSameBitsOnEveryMesh) {
  const Phi4Config shape = test_shape(40, 10);
  const auto expected = initial_weights(1, 1, shape);
  const at::Tensor& q = expected.at("layers.0.attention.q.weight");
  EXPECT_NEAR(q.std().item<double>(), shape.initializer_range, 1e-3);
  EXPECT_TRUE(at::equal(expected.at("norm.weight"), at::ones({shape.hidden_size})));
  EXPECT_FALSE(at::equal(q, expected.at("layers.1.attention.q.weight")));
  for (const auto& [world, tp] : {std::pair{2, 2}, {3, 1}, {4, 2}, {8, 8}}) {
    const auto found = initial_weights(world, tp, shape);
    ASSERT_EQ(found.size(), expected.size());
    for (const auto& [name, value] : expected) {
      EXPECT_TRUE(at::equal(found.at(name), value)) << name << " at " << world << " / " << tp;
    }
  }
}

struct RecomputeCase {
  int tp;
  bool sequence_parallel, tied;
  Precision precision;
};

/// Loss and flat gradients of one pass, on the last rank.
std::vector<at::Tensor> gradients(Recompute recompute, const RecomputeCase& on) {
  std::vector<at::Tensor> result;
  run_ranks(on.tp, [&](Communicator& world) {
    const TestMesh mesh(world, on.tp);
    Phi4Config shape = test_shape();
    shape.tie_word_embeddings = on.tied;
    RunConfig config = test_run_config(shape, on.tp, on.sequence_parallel, on.precision);
    config.recompute = recompute;
    Replica replica(config, mesh.context, {});
    const RopeTable rope(10000, 8, 9, at::kCPU);
    TokenBatch batch = test_tokens(3, 9, 103, 4, rope);
    batch.segments = {{0, 0, 9}, {1, 0, 4}, {1, 4, 9}, {2, 0, 9}};
    replica.grads().begin_step(1);
    const at::Tensor loss = replica.model().loss(batch, &replica.grads());
    const auto shares = replica.grads().finish();
    if (world.rank() != on.tp - 1) return;
    result = {loss};
    for (const at::Tensor& share : shares) result.push_back(share.clone());
  });
  return result;
}

void expect_the_gradients_of_none(const RecomputeCase& on) {
  const std::vector<at::Tensor> expected = gradients(Recompute::kNone, on);
  for (const Recompute recompute : {Recompute::kSelective, Recompute::kFull}) {
    const std::vector<at::Tensor> found = gradients(recompute, on);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_GT(expected[i].abs().sum().item<double>(), 0);
      EXPECT_TRUE(at::equal(found[i], expected[i]))
          << i << ", tp " << on.tp << ", sequence parallel " << on.sequence_parallel << ", tied "
          << on.tied;
    }
  }
}

TEST(Recompute, SelectiveAndFullGiveTheGradientsOfNoneInEveryBit) {
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    for (const bool tied : {false, true}) {
      expect_the_gradients_of_none({1, false, tied, precision});
      expect_the_gradients_of_none({2, false, tied, precision});
      expect_the_gradients_of_none({2, true, tied, precision});
    }
  }
}

}  // namespace
}  // namespace phalanx
