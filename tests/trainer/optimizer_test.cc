// AdamW against the formula in double and against torch.optim.AdamW; gradient norm and clipping.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/model/random_tensor.h"
#include "tests/support/ranks.h"
#include "trainer/adamw.h"
#include "trainer/grad_norm.h"

namespace phalanx {
namespace {

constexpr double kRate = 0.01;

/// A matrix and, if asked for, a vector that does not decay, in one bucket.
void declare(ParameterSet& set, int64_t rows, at::ScalarType dtype, int64_t replicas) {
  set.declare("matrix", sharded({rows, 7}, 0, {0, rows}), "layer", true);
  set.declare("vector", sharded({11}, 0, {0, 11}), "layer", false);
  set.declare("other", sharded({rows, 3}, 0, {0, rows}), "layer", true);
  set.allocate(dtype, at::kCPU, replicas);
}

at::Tensor gradient(int64_t numel, uint64_t step) {
  return random_tensor({numel}, 100 + step) * (step % 2 == 0 ? 1.0 : 30.0);
}

/// The update of arXiv 1711.05101 in double.
struct Formula {
  OptimizerConfig config;
  at::Tensor p, m, v;
  void update(const at::Tensor& g, const at::Tensor& decays, double scale, int64_t n) {
    const at::Tensor scaled = g.to(at::kDouble) * scale;
    m = m * config.beta1 + scaled * (1 - config.beta1);
    v = v * config.beta2 + scaled.square() * (1 - config.beta2);
    const at::Tensor m_hat = m / (1 - std::pow(config.beta1, double(n)));
    const at::Tensor v_hat = v / (1 - std::pow(config.beta2, double(n)));
    p = p * (1 - kRate * config.weight_decay * decays) -
        m_hat / (v_hat.sqrt() + config.epsilon) * kRate;
  }
};

TEST(AdamW, FiftyUpdatesEqualTheFormulaInDouble) {
  for (const double beta2 : {0.95, 0.999}) {
    run_ranks(1, [&](Communicator& world) {
      ParameterSet set;
      declare(set, 41, at::kFloat, 1);
      OptimizerConfig config;
      config.beta2 = beta2;
      AdamW optimizer(config, set, world);
      const Bucket& bucket = set.buckets()[0];
      bucket.weights.narrow(0, 0, bucket.numel).copy_(random_tensor({bucket.numel}, 1));
      optimizer.load_masters_from_weights();
      at::Tensor decays = at::zeros({bucket.padded_numel}, at::kDouble);
      for (const Parameter* parameter : bucket.parameters) {
        decays.narrow(0, parameter->offset, parameter->numel).fill_(parameter->decay ? 1 : 0);
      }
      const at::Tensor zeros = at::zeros({bucket.padded_numel}, at::kDouble);
      Formula formula{config, bucket.weights.to(at::kDouble), zeros, zeros};
      const at::Tensor padding = at::zeros({bucket.padded_numel - bucket.numel});
      for (int64_t n = 1; n <= 50; ++n) {
        const at::Tensor g = at::cat({gradient(bucket.numel, static_cast<uint64_t>(n)), padding});
        formula.update(g, decays, 0.25, n);
        optimizer.update({g}, kRate, 0.25, n);
        EXPECT_TRUE(at::equal(g, at::zeros_like(g)));  // ready for the next step
      }
      const BucketShare& share = optimizer.shares()[0];
      EXPECT_LT(relative_error(share.master, formula.p), 1e-6) << beta2;
      EXPECT_LT(relative_error(share.exp_avg, formula.m), 2e-6) << beta2;
      EXPECT_LT(relative_error(share.exp_avg_sq, formula.v), 2e-6) << beta2;
      EXPECT_TRUE(at::equal(bucket.weights, share.master));
    });
  }
}

TEST(AdamW, ThreeUpdatesEqualThoseOfTorch) {
  // torch.optim.AdamW in float64: lr 0.1, betas (0.9, 0.999), eps 1e-8, weight_decay 0.1.
  const float gradients[3][4] = {
      {0.5F, -1.0F, 1e-3F, 0.0F}, {-0.25F, 2.0F, 1e-3F, 0.0F}, {3.0F, 0.125F, -1e-3F, 0.0F}};
  const double expected[3][4] = {
      {0.890000002, -1.880000001, 0.3950009999900001, 2.97},
      {0.8544662986878463, -1.897810353462075, 0.29105198998010084, 2.9403},
      {0.7793512246578068, -1.9106556343413195, 0.26194247007767996, 2.910897}};
  run_ranks(1, [&](Communicator& world) {
    ParameterSet set;
    Parameter& p = set.declare("p", sharded({4, 1}, 0, {0, 4}), "layer", true);
    set.allocate(at::kFloat, at::kCPU, 1);
    p.weight.copy_(at::tensor({1.F, -2.F, 0.5F, 3.F}).unsqueeze(1));
    OptimizerConfig config;
    config.beta2 = 0.999;
    AdamW optimizer(config, set, world);
    optimizer.load_masters_from_weights();
    const at::Tensor g = at::zeros_like(set.buckets()[0].grads);
    for (int64_t n = 1; n <= 3; ++n) {
      for (int64_t i = 0; i < 4; ++i) g[i].fill_(gradients[n - 1][i]);
      optimizer.update({g}, 0.1, 1.0, n);
      for (int64_t i = 0; i < 4; ++i) {
        EXPECT_NEAR(p.weight[i][0].item<double>(), expected[n - 1][i], 4e-7) << n << ", " << i;
      }
    }
  });
}

/// Weights and moments after three updates, brought together from all replicas.
std::vector<at::Tensor> after_updates(int replicas, at::ScalarType dtype) {
  std::vector<at::Tensor> result;
  run_ranks(replicas, [&](Communicator& world) {
    ParameterSet set;
    declare(set, 997, dtype, replicas);  // spans several shares
    AdamW optimizer({}, set, world);
    const Bucket& bucket = set.buckets()[0];
    bucket.weights.narrow(0, 0, bucket.numel).copy_(random_tensor({bucket.numel}, 1));
    optimizer.load_masters_from_weights();
    const BucketShare& share = optimizer.shares()[0];
    for (int64_t n = 1; n <= 3; ++n) {
      at::Tensor g = at::zeros({bucket.padded_numel});
      g.narrow(0, 0, bucket.numel).copy_(gradient(bucket.numel, static_cast<uint64_t>(n)));
      optimizer.update({g.narrow(0, share.begin, share.numel)}, kRate, 1.0, n);
      optimizer.gather_weights();
    }
    at::Tensor moments = at::empty({bucket.padded_numel});
    world.all_gather(moments, share.exp_avg_sq)->wait();
    at::Tensor masters = at::empty({bucket.padded_numel});
    world.all_gather(masters, share.master)->wait();
    if (world.rank() != replicas - 1) return;
    for (const at::Tensor& t : {bucket.weights, masters, moments}) {
      result.push_back(t.narrow(0, 0, bucket.numel).clone());
    }
  });
  return result;
}

TEST(AdamW, SharesOfAnyNumberOfReplicasMakeTheSameBits) {
  const std::vector<at::Tensor> expected = after_updates(1, at::kFloat);
  for (const int replicas : {2, 3}) {
    const std::vector<at::Tensor> found = after_updates(replicas, at::kFloat);
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(at::equal(found[i], expected[i])) << i;
  }
}

TEST(AdamW, Bf16WeightsAreTheRoundedMasters) {
  const std::vector<at::Tensor> found = after_updates(2, at::kBFloat16);
  EXPECT_TRUE(at::equal(found[0], found[1].to(at::kBFloat16)));
  EXPECT_FALSE(at::equal(found[0].to(at::kFloat), found[1]));
}

std::vector<Bucket> two_buckets() {
  std::vector<Bucket> buckets(2);
  buckets[1].summed_over_tp = true;
  return buckets;
}

double sum_of_squares(const std::vector<at::Tensor>& shares, bool first_of_tensor_axis) {
  double sum = 0.0;
  for (const auto& of_bucket : block_squares(shares, two_buckets(), first_of_tensor_axis)) {
    for (const double square : of_bucket) sum += square;
  }
  return sum;
}

TEST(GradNorm, SumsSquaresAndCountsBucketsSummedOverTheTensorAxisOnce) {
  const at::Tensor a = random_tensor({3 * kBucketAlignment}, 1) * 7;
  const at::Tensor b = random_tensor({kBucketAlignment}, 2);
  const auto squares = [](const at::Tensor& t) {
    return t.to(at::kDouble).square().sum().item<double>();
  };
  const double first = sum_of_squares({a, b}, true);
  const double other = sum_of_squares({a, b}, false);
  EXPECT_NEAR(first / (squares(a) + squares(b)), 1, 1e-6);
  EXPECT_NEAR(other / squares(a), 1, 1e-6);
}

TEST(GradNorm, OfBf16IsThatOfTheSameValuesInFp32) {
  const at::Tensor a = random_tensor({3 * kBucketAlignment}, 1).to(at::kBFloat16);
  const at::Tensor b = random_tensor({kBucketAlignment}, 2).to(at::kBFloat16);
  const double found = sum_of_squares({a, b}, true);
  const double expected = sum_of_squares({a.to(at::kFloat), b.to(at::kFloat)}, true);
  EXPECT_NEAR(found / expected, 1, 1e-6);  // bf16 norms would be off by up to 4e-3
}

TEST(ClipGradient, ScalesToTheClipNormAsTorchDoes) {
  // torch.nn.utils.clip_grad_norm_([3, 4, 12], 2.6) gives norm 13 and [0.59999996, ...].
  const ClippedGradient clipped = clip_gradient(169 * 25.0, 5, 2.6);
  EXPECT_DOUBLE_EQ(clipped.norm, 13);
  EXPECT_TRUE(clipped.finite);
  EXPECT_NEAR(clipped.scale * 5 * 3, 0.5999999642372131, 1e-7);
}

TEST(ClipGradient, SmallGradientsAndNoClippingKeepTheMean) {
  EXPECT_DOUBLE_EQ(clip_gradient(4, 2, 1.5).scale, 0.5);
  EXPECT_DOUBLE_EQ(clip_gradient(1e12, 4, 0).scale, 0.25);
  EXPECT_DOUBLE_EQ(clip_gradient(0, 4, 1).scale, 0.25);
  EXPECT_DOUBLE_EQ(clip_gradient(0, 4, 1).norm, 0);
}

TEST(ClipGradient, NotFiniteIsSaid) {
  EXPECT_FALSE(clip_gradient(std::numeric_limits<double>::infinity(), 4, 1).finite);
  EXPECT_FALSE(clip_gradient(std::numeric_limits<double>::quiet_NaN(), 4, 0).finite);
}

}  // namespace
}  // namespace phalanx
