// The sink of gradients: what is summed over which ranks, when, and how often.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "parallel/grad_buckets.h"
#include "parallel/mesh.h"
#include "tests/support/ranks.h"

namespace phalanx {
namespace {

struct Fixture {
  Fixture(Communicator& world, int tp_size)
      : mesh(make_mesh(world.rank(), world.size(), tp_size)),
        tp(world.split(mesh.dp_rank, mesh.tp_rank, "tp")),
        dp(world.split(mesh.tp_rank, mesh.dp_rank, "dp")) {
    norm = &set.declare("norm", replicated({3}), "shared", false);
    key = &set.declare("key", shared({4, 2}, 0, {mesh.tp_rank, mesh.tp_rank + 2}), "layer", true);
    matrix = &set.declare("matrix", sharded({8, 2}, 0, split_range(8, tp_size, mesh.tp_rank)),
                          "layer", true);
    set.allocate(at::kFloat, at::kCPU, dp->size());
    grads = std::make_unique<GradBuckets>(set, *dp, *tp);
  }
  void contribute(bool whole_norm) {
    const double value = 1 + world_rank();
    grads->accumulate(*norm, at::full({3}, value), whole_norm);
    grads->accumulate(*key, at::full({2, 2}, value), false);
    grads->accumulate(*matrix, at::full(matrix->grad.sizes(), value), false);
  }
  int world_rank() const { return mesh.rank(); }
  /// This replica's share of the parameter's bucket, as a whole over all replicas.
  at::Tensor reduced(const Parameter& parameter) {
    const at::Tensor& share = grads->finish()[static_cast<size_t>(parameter.bucket)];
    at::Tensor whole = at::empty({share.numel() * dp->size()});
    dp->all_gather(whole, share.contiguous())->wait();
    return stored_view(parameter, whole).clone();
  }
  Mesh mesh;
  std::unique_ptr<Communicator> tp, dp;
  ParameterSet set;
  Parameter *norm, *key, *matrix;
  std::unique_ptr<GradBuckets> grads;
};

TEST(GradBuckets, ShardedGradientsAreSummedOverReplicasAndNotOverTensorPeers) {
  run_ranks(4, [](Communicator& world) {
    Fixture f(world, 2);
    f.grads->begin_step(1);
    f.contribute(false);
    // Tensor rank t has world ranks t and 2 + t.
    EXPECT_TRUE(at::equal(f.reduced(*f.matrix), at::full({4, 2}, 4.0 + 2 * f.mesh.tp_rank)));
  });
}

TEST(GradBuckets, TheSharedBucketIsSummedOverTheWholeMeshOnce) {
  run_ranks(4, [](Communicator& world) {
    for (const bool whole : {false, true}) {
      Fixture f(world, 2);
      f.grads->begin_step(1);
      f.contribute(whole);
      // Partial: ranks add 1 + 2 + 3 + 4. Whole on each tensor peer: the first of each, 1 + 3.
      EXPECT_TRUE(at::equal(f.reduced(*f.norm), at::full({3}, whole ? 4.0 : 10.0)));
    }
    // Rows 0 and 1 belong to tensor rank 0, rows 1 and 2 to tensor rank 1, row 3 to nobody.
    Fixture f(world, 2);
    f.grads->begin_step(1);
    f.contribute(false);
    const at::Tensor rows = f.reduced(*f.key).select(1, 0);
    EXPECT_TRUE(at::equal(rows, at::tensor({4.F, 10.F, 6.F, 0.F})));
  });
}

TEST(GradBuckets, AContributionThatWasNotDeclaredIsAnErrorAndSoIsAMissingOne) {
  run_ranks(1, [](Communicator& world) {
    Fixture f(world, 1);
    f.grads->begin_step(2);
    f.contribute(false);
    EXPECT_THROW(f.grads->finish(), c10::Error);
    f.contribute(false);
    EXPECT_NO_THROW(f.grads->finish());
    EXPECT_THROW(f.contribute(false), c10::Error);
  });
}

TEST(GradBuckets, AStepBeginsAtZeroAndPartialContributionsDoNotCount) {
  run_ranks(1, [](Communicator& world) {
    Fixture f(world, 1);
    for (int step = 0; step < 2; ++step) {
      f.grads->begin_step(1);
      const at::Tensor dy = at::ones({5, 8}), x = at::full({5, 2}, 2.0);
      for (int chunk = 0; chunk < 3; ++chunk) {
        f.grads->accumulate_linear({f.matrix}, dy, x, Contribution::kMore);
      }
      f.grads->accumulate_linear({f.matrix}, dy, x, Contribution::kLast);
      f.grads->accumulate(*f.norm, at::ones({3}), false);
      f.grads->accumulate(*f.key, at::ones({2, 2}), false);
      EXPECT_TRUE(at::equal(f.reduced(*f.matrix), at::full({8, 2}, 40.0))) << "step " << step;
    }
  });
}

TEST(GradBuckets, ATensorUsedTwiceIsReducedAfterTheSecondUse) {
  run_ranks(2, [](Communicator& world) {
    Fixture f(world, 1);
    f.matrix->uses = 2;
    f.grads->begin_step(1);
    f.contribute(false);
    f.grads->accumulate(*f.matrix, at::full({8, 2}, 10.0), false);
    EXPECT_TRUE(at::equal(f.reduced(*f.matrix), at::full({8, 2}, 23.0)));
  });
}

TEST(GradBuckets, RowsAddUpAndRowsOfOtherRanksAreLeftOut) {
  run_ranks(1, [](Communicator& world) {
    Fixture f(world, 1);
    f.grads->begin_step(1);
    const at::Tensor index = at::tensor({3, -1, 3, 8, 0}, at::kLong);
    const at::Tensor value =
        at::tensor({1.F, 10.F, 100.F, 1000.F, 5.F}).unsqueeze(1).expand({5, 2});
    f.grads->accumulate_rows(*f.matrix, index, value);
    EXPECT_TRUE(at::equal(f.matrix->grad.select(1, 1),
                          at::tensor({5.F, 0.F, 0.F, 101.F, 0.F, 0.F, 0.F, 0.F})));
  });
}

TEST(GradBuckets, Bf16ProductsAreAddedToFp32Sums) {
  run_ranks(1, [](Communicator& world) {
    Fixture f(world, 1);
    f.grads->begin_step(1);
    const at::Tensor dy = at::ones({3, 8}, at::kBFloat16), x = at::ones({3, 2}, at::kBFloat16);
    f.matrix->grad.fill_(1024);  // 1024 + 3 has no bf16
    f.grads->accumulate_linear({f.matrix}, dy, x);
    EXPECT_TRUE(at::equal(f.matrix->grad, at::full({8, 2}, 1027.0)));
  });
}

}  // namespace
}  // namespace phalanx
