// The sink of gradients: what is summed over which ranks, when, and how often.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "parallel/grad_buckets.h"
#include "parallel/mesh.h"
#include "tests/support/ranks.h"

namespace phalanx {
namespace {

struct Fixture {
  Fixture(Communicator& world, int tp_size, at::ScalarType grad_dtype = at::kFloat,
          uint64_t seed = 0)
      : mesh(make_mesh(world.rank(), world.size(), tp_size)),
        tp(world.split(mesh.dp_rank, mesh.tp_rank, "tp")),
        dp(world.split(mesh.tp_rank, mesh.dp_rank, "dp")) {
    norm = &set.declare("norm", replicated({3}), "shared", false);
    key = &set.declare("key", shared({4, 2}, 0, {mesh.tp_rank, mesh.tp_rank + 2}), "layer", true);
    matrix = &set.declare("matrix", sharded({8, 2}, 0, split_range(8, tp_size, mesh.tp_rank)),
                          "layer", true);
    set.allocate(at::kFloat, at::kCPU, dp->size(), grad_dtype);
    grads = std::make_unique<GradBuckets>(set, *dp, *tp, seed);
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
    at::Tensor whole = at::empty({share.numel() * dp->size()}, share.options());
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

/// One rank, bf16 buckets, `count` contributions of `value` to each element of the matrix.
at::Tensor bf16_sum(uint64_t seed, int64_t step, int64_t count, double value) {
  at::Tensor sum;
  run_ranks(1, [&](Communicator& world) {
    Fixture f(world, 1, at::kBFloat16, seed);
    f.grads->begin_step(count, step);
    for (int64_t i = 0; i < count; ++i) {
      f.grads->accumulate(*f.matrix, at::full({8, 2}, i == 0 ? 1.0 : value), false);
    }
    sum = f.matrix->grad.clone();
  });
  return sum;
}

TEST(Bf16GradBuckets, ContributionsTooSmallForBf16AddUpOnAverage) {
  // 512 times 2^-10 beside 1, whose next bf16 is 1 + 2^-7: rounding to nearest would stay at 1.
  const at::Tensor sum = bf16_sum(0, 0, 513, 0x1p-10).to(at::kFloat);
  EXPECT_EQ((at::ones({}, at::kBFloat16) + 0x1p-10).item<float>(), 1.0F);
  // An element's deviation is sqrt(512 / 8 * 7 / 8) / 128 = 0.06, that of the mean of 16 0.015.
  EXPECT_NEAR(sum.mean().item<double>(), 1.5, 0.075);
  EXPECT_GT(sum.std().item<double>(), 0.01);  // each element has draws of its own
}

TEST(Bf16GradBuckets, BitsFollowFromSeedAndStep) {
  const at::Tensor expected = bf16_sum(3, 5, 40, 0x1p-9);
  EXPECT_TRUE(at::equal(bf16_sum(3, 5, 40, 0x1p-9), expected));
  EXPECT_FALSE(at::equal(bf16_sum(4, 5, 40, 0x1p-9), expected));
  EXPECT_FALSE(at::equal(bf16_sum(3, 6, 40, 0x1p-9), expected));
}

TEST(Bf16GradBuckets, AProductIsRoundedOnceToANeighbourOfItsFp32Sum) {
  run_ranks(1, [](Communicator& world) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      Fixture narrow(world, 1, at::kBFloat16), wide(world, 1);
      const at::Tensor dy = at::arange(24).view({3, 8}).to(dtype).sin();
      const at::Tensor x = at::arange(6).view({3, 2}).to(dtype).cos();
      for (Fixture* f : {&narrow, &wide}) {
        f->grads->begin_step(1);
        f->grads->accumulate_linear({f->matrix}, dy, x);
      }
      const at::Tensor found = narrow.matrix->grad.to(at::kFloat);
      const at::Tensor error = (found - wide.matrix->grad).abs();
      EXPECT_TRUE(at::all(error <= wide.matrix->grad.abs() * 0x1p-7).item<bool>());
      // LibTorch's own bf16 products come rounded already.
      const bool rounded = !at::equal(found, wide.matrix->grad);
      EXPECT_TRUE(rounded || dtype == at::kBFloat16);
    }
  });
}

TEST(Bf16GradBuckets, RowsAddUpInFp32AndOnlyThoseThatOccurChange) {
  run_ranks(1, [](Communicator& world) {
    Fixture f(world, 1, at::kBFloat16);
    f.grads->begin_step(1);
    const at::Tensor index = at::tensor({3, -1, 3, 8, 0}, at::kLong);
    const at::Tensor value =
        at::tensor({256.F, 10.F, -255.F, 1000.F, 5.F}).unsqueeze(1).expand({5, 2});
    f.matrix->grad[5].fill_(7);
    f.grads->accumulate_rows(*f.matrix, index, value);
    EXPECT_TRUE(at::equal(f.matrix->grad.select(1, 1).to(at::kFloat),
                          at::tensor({5.F, 0.F, 0.F, 1.F, 0.F, 7.F, 0.F, 0.F})));
  });
}

TEST(Bf16GradBuckets, SumsOverRanksAreRoundedOnceToNearest) {
  run_ranks(4, [](Communicator& world) {
    Fixture f(world, 2, at::kBFloat16);
    f.grads->begin_step(1);
    const double value = world.rank() < 2 ? 1.0 : 0x1p-8 * 1.5;  // 1 + 1.5 / 256 has no bf16
    f.grads->accumulate(*f.norm, at::full({3}, value), /*whole_everywhere=*/true);
    f.grads->accumulate(*f.key, at::zeros({2, 2}), false);
    f.grads->accumulate(*f.matrix, at::full(f.matrix->grad.sizes(), value), false);
    for (const Parameter* parameter : {f.norm, f.matrix}) {
      const at::Tensor sum = f.reduced(*parameter);
      EXPECT_EQ(sum.scalar_type(), at::kBFloat16);
      EXPECT_TRUE(at::all(sum.to(at::kFloat) == 1 + 0x1p-7).item<bool>());
    }
  });
}

TEST(GradBuckets, BucketsThatTheUpdateClearedAreNotPassedOverAgain) {
  for (const int replicas : {1, 2}) {
    run_ranks(replicas, [&](Communicator& world) {
      Fixture f(world, 1);
      f.grads->begin_step(1);
      f.matrix->grad.fill_(3);
      f.grads->note_cleared();
      f.grads->begin_step(
          1);  // shares of two replicas are copies, so their buckets are passed over
      EXPECT_EQ(f.matrix->grad.sum().item<double>(), replicas == 1 ? 48 : 0);
      f.grads->begin_step(1);  // as after a skipped update
      EXPECT_EQ(f.matrix->grad.sum().item<double>(), 0);
    });
  }
}

}  // namespace
}  // namespace phalanx
