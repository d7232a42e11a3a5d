// What the planner counts is what a rank's ParameterSet holds.
#include "trainer/planner/rank_parameters.h"

#include <gtest/gtest.h>

#include <mutex>

#include "tests/support/ranks.h"
#include "tests/support/test_model.h"

namespace phalanx {
namespace {

/// Elements of each bucket on the rank that holds most.
std::vector<int64_t> allocated(const Phi4Config& shape, const MeshSize& mesh) {
  std::vector<int64_t> most;
  std::mutex mutex;
  run_ranks(static_cast<int>(mesh.num_ranks()), [&](Communicator& world) {
    const TestMesh groups(world, static_cast<int>(mesh.tensor_parallel));
    const TensorParallel axis(*groups.tp, true);
    ParameterSet parameters;
    const Phi4 model(shape, {}, parameters, axis);
    parameters.allocate(at::kFloat, at::kCPU, mesh.data_parallel);
    const std::lock_guard lock(mutex);
    most.resize(parameters.buckets().size());
    for (size_t b = 0; b < most.size(); ++b) {
      most[b] = std::max(most[b], parameters.buckets()[b].padded_numel);
    }
  });
  return most;
}

TEST(RankParameters, BucketsAreThoseOfTheFullestRank) {
  for (const auto& [heads, kv_heads] : {std::pair{8, 2}, {40, 10}}) {
    for (const MeshSize mesh : {MeshSize{1, 1}, {2, 1}, {1, 3}, {4, 2}, {8, 1}}) {
      for (const bool tied : {false, true}) {
        Phi4Config shape = test_shape(heads, kv_heads);
        shape.tie_word_embeddings = tied;
        std::vector<int64_t> counted;
        for (const BucketSize& bucket : bucket_sizes(shape, mesh)) counted.push_back(bucket.numel);
        EXPECT_EQ(counted, allocated(shape, mesh))
            << heads << " heads, tp " << mesh.tensor_parallel << ", dp " << mesh.data_parallel;
      }
    }
  }
}

TEST(RankParameters, AloneARankUsesAll) {
  const Phi4Config phi4;
  EXPECT_EQ(used_parameters(phi4, 1), num_parameters(phi4));
  EXPECT_LT(num_parameters(phi4), 8 * used_parameters(phi4, 8)) << "norms and shared heads";
}

TEST(RankParameters, SharedHeadsAreStoredWholeWhereTheyDoNotDivide) {
  const Phi4Config phi4;
  const StoredParameters five = stored_parameters(phi4, {5, 1}),
                         eight = stored_parameters(phi4, {8, 1});
  const int64_t key_value = 2 * phi4.num_hidden_layers * phi4.hidden_size * phi4.key_value_size();
  EXPECT_LT(five.shared, key_value);
  EXPECT_GT(eight.shared, key_value);
  EXPECT_GT(eight.numel, used_parameters(phi4, 8));
}

}  // namespace
}  // namespace phalanx
