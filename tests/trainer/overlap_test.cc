// What a step has under way at one time: gradients are reduced behind the backward pass, weights
// gathered behind the forward pass, and pieces of tensor-parallel products change no loss.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/ranks.h"
#include "tests/support/recording_communicator.h"
#include "tests/trainer/mesh_run.h"

namespace phalanx {
namespace {

/// Looks at the model's gradients when the first reduce-scatter starts.
class FirstReduction final : public Communicator {
 public:
  explicit FirstReduction(Communicator& inner)
      : Communicator(inner.rank(), inner.size(), inner.name()), inner_(inner) {}
  std::unique_ptr<Communicator> split(int color, int key, const std::string& name) override {
    return inner_.split(color, key, name);
  }
  WorkHandle all_reduce(const at::Tensor& tensor, ReduceOp op, SumOrder order) override {
    return inner_.all_reduce(tensor, op, order);
  }
  WorkHandle reduce_scatter(const at::Tensor& output, const at::Tensor& input,
                            SumOrder order) override {
    if (started++ == 0) gradient_then = gradient.abs().sum().item<double>();
    return inner_.reduce_scatter(output, input, order);
  }
  WorkHandle all_gather(const at::Tensor& output, const at::Tensor& input) override {
    return inner_.all_gather(output, input);
  }
  WorkHandle all_to_all(const at::Tensor& output, const at::Tensor& input) override {
    return inner_.all_to_all(output, input);
  }
  WorkHandle broadcast(const at::Tensor& tensor, int root) override {
    return inner_.broadcast(tensor, root);
  }
  void barrier() override { inner_.barrier(); }

  at::Tensor gradient;  // that is written last
  double gradient_then = -1.0;
  int started = 0;

 private:
  Communicator& inner_;
};

TEST(Overlap, ReduceScattersStartBeforeTheBackwardPassEnds) {
  run_ranks(2, [](Communicator& world) {
    TestMesh mesh(world, 1);
    FirstReduction dp(*mesh.dp);
    const RunContext context{mesh.mesh, world, *mesh.tp, dp, at::kCPU};
    Replica replica(test_run_config(test_shape(), 1, false), context, {});
    dp.gradient = replica.parameters().buckets().front().grads;
    ASSERT_EQ(replica.parameters().buckets().front().name, "embedding");
    const RopeTable rope(10000, 8, 9, at::kCPU);
    const TokenBatch batch = test_tokens(2, 9, 103, 4, rope);
    replica.grads().begin_step(2);
    (void)replica.model().loss(batch, &replica.grads());
    EXPECT_EQ(dp.started, 0);  // more is to come
    replica.parameters().buckets().front().grads.zero_();
    (void)replica.model().loss(batch, &replica.grads());
    EXPECT_EQ(dp.gradient_then, 0.0);
    EXPECT_GT(dp.gradient.abs().sum().item<double>(), 0.0);
    EXPECT_EQ(dp.started, static_cast<int>(replica.parameters().buckets().size()));
    (void)replica.grads().finish();
  });
}

TEST(Overlap, WeightsAreGatheredInTheOrderOfTheForwardPassAndWaitedForByIt) {
  run_ranks(2, [](Communicator& world) {
    TestMesh mesh(world, 1);
    CallLog log;
    RecordingCommunicator dp(*mesh.dp, log);
    const RunContext context{mesh.mesh, world, *mesh.tp, dp, at::kCPU};
    Replica replica(test_run_config(test_shape(), 1, false), context, {});
    const auto count = [&](const std::string& call) {
      return std::count(log.begin(), log.end(), call);
    };
    const auto num_buckets = static_cast<int64_t>(replica.parameters().buckets().size());
    EXPECT_EQ(count("all_gather"), num_buckets);
    EXPECT_EQ(count("wait all_gather"), 0);
    const RopeTable rope(10000, 8, 9, at::kCPU);
    (void)replica.model().loss(test_tokens(2, 9, 103, 4, rope), nullptr);
    EXPECT_EQ(count("wait all_gather"), num_buckets);
    std::vector<std::string> names;
    for (const Bucket& bucket : replica.parameters().buckets()) names.push_back(bucket.name);
    EXPECT_EQ(names,
              (std::vector<std::string>{"embedding", "shared", "layers.0", "layers.1", "head"}));
  });
}

TEST(Overlap, PiecesOfTensorParallelProductsChangeNoBitOfAStep) {
  for (const bool sequence_parallel : {false, true}) {
    std::vector<MeshRunResult> results;
    for (const int64_t chunks : {1, 2, 5}) {
      MeshRunOptions options;
      options.tensor_parallel_size = 2;
      options.sequence_parallel = sequence_parallel;
      options.overlap_chunks = chunks;
      options.num_steps = 5;
      MeshRunResult& result = results.emplace_back();
      run_ranks(4, [&](Communicator& world) {
        const MeshRunResult mine = run_on_mesh(world, options);
        if (world.rank() == 0) result = mine;
      });
      EXPECT_EQ(result.losses.size(), 5U);
      EXPECT_EQ(result.losses, results.front().losses) << chunks;
      EXPECT_EQ(result.grad_norms, results.front().grad_norms) << chunks;
    }
  }
}

}  // namespace
}  // namespace phalanx
