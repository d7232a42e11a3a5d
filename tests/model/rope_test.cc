// Rotary embedding: the fused kernel, its plain twin and the definition in double.
#include "model/kernels/rope.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/model/random_tensor.h"

namespace phalanx {
namespace {

constexpr double kTheta = 250;

at::Tensor rotated(const at::Tensor& x_NF, int64_t num_heads, const RopeTable& table,
                   const at::Tensor& positions_N, Rotation rotation = Rotation::kForward) {
  at::Tensor y_NF = x_NF.clone();
  rope_(y_NF, num_heads, table, positions_N, rotation);
  return y_NF;
}

/// Element by element, angles in double.
at::Tensor definition(const at::Tensor& x_NF, int64_t num_heads, int64_t head_dim,
                      const at::Tensor& positions_N) {
  at::Tensor y_NF = x_NF.to(at::kDouble).clone();
  const at::Tensor x = x_NF.to(at::kDouble);
  auto out = y_NF.accessor<double, 2>();
  const auto in = x.accessor<double, 2>();
  const int64_t half = head_dim / 2;
  for (int64_t n = 0; n < x.size(0); ++n) {
    const auto position = static_cast<double>(positions_N.const_data_ptr<int64_t>()[n]);
    for (int64_t h = 0; h < num_heads * head_dim; h += head_dim) {
      for (int64_t i = 0; i < half; ++i) {
        const double angle = position * std::pow(kTheta, -2.0 * static_cast<double>(i) /
                                                             static_cast<double>(head_dim));
        const double a = in[n][h + i], b = in[n][h + half + i];
        out[n][h + i] = a * std::cos(angle) - b * std::sin(angle);
        out[n][h + half + i] = b * std::cos(angle) + a * std::sin(angle);
      }
    }
  }
  return y_NF;
}

TEST(Rope, BothKernelsTurnTheFirstHeadsAsDefinedAndLeaveTheRest) {
  for (const int64_t head_dim : {2, 6, 16}) {
    const RopeTable table(kTheta, head_dim, 40, at::kCPU);
    const at::Tensor x = random_tensor({37, 5 * head_dim}, 1);
    const at::Tensor positions = at::arange(37, at::kLong).flip(0).contiguous();
    const at::Tensor expected = definition(x, 3, head_dim, positions);
    const at::Tensor fused = rotated(x, 3, table, positions);
    at::Tensor plain = x.clone();
    rope_plain_(plain, 3, table, positions, Rotation::kForward);
    EXPECT_LT(relative_error(fused, expected), 2e-6) << head_dim;
    EXPECT_LT(relative_error(plain, expected), 2e-6) << head_dim;
    EXPECT_LT(relative_error(fused, plain), 1e-7) << head_dim;
    const int64_t rest = 2 * head_dim;
    EXPECT_TRUE(at::equal(fused.narrow(1, 3 * head_dim, rest), x.narrow(1, 3 * head_dim, rest)));
  }
}

TEST(Rope, BackwardIsTheTransposeOfForward) {
  const RopeTable table(kTheta, 8, 64, at::kCPU);
  const at::Tensor x = random_tensor({64, 24}, 1), dy = random_tensor({64, 24}, 2);
  const at::Tensor positions = at::arange(64, at::kLong);
  const at::Tensor y = rotated(x, 3, table, positions);
  const at::Tensor dx = rotated(dy, 3, table, positions, Rotation::kBackward);
  const double forward = (y * dy).sum(at::kDouble).item<double>();
  const double backward = (x * dx).sum(at::kDouble).item<double>();
  EXPECT_NEAR(forward, backward, 1e-5);
  EXPECT_LT(relative_error(rotated(y, 3, table, positions, Rotation::kBackward), x), 3e-7);
  at::Tensor plain = dy.clone();
  rope_plain_(plain, 3, table, positions, Rotation::kBackward);
  EXPECT_LT(relative_error(dx, plain), 1e-7);
}

TEST(Rope, ProductsOfTurnedVectorsDependOnTheDistanceOfTheirPositionsOnly) {
  const RopeTable table(kTheta, 8, 64, at::kCPU);
  const at::Tensor q = random_tensor({1, 8}, 1), k = random_tensor({1, 8}, 2);
  const auto product = [&](int64_t m, int64_t n) {
    return (rotated(q, 1, table, at::tensor({m}, at::kLong)) *
            rotated(k, 1, table, at::tensor({n}, at::kLong)))
        .sum()
        .item<float>();
  };
  EXPECT_NEAR(product(9, 2), product(50, 43), 1e-4);
  EXPECT_GT(std::abs(product(9, 2) - product(9, 3)), 1e-2);
}

TEST(Rope, InBf16BothKernelsStayWithinItsRoundingOfFp32) {
  const RopeTable table(kTheta, 8, 64, at::kCPU);
  const at::Tensor x = random_tensor({64, 24}, 1).to(at::kBFloat16);
  const at::Tensor positions = at::arange(64, at::kLong);
  const at::Tensor truth = rotated(x.to(at::kFloat), 3, table, positions);
  at::Tensor plain = x.clone();
  rope_plain_(plain, 3, table, positions, Rotation::kForward);
  EXPECT_LT(relative_error(rotated(x, 3, table, positions), truth), 3e-3);
  EXPECT_LT(relative_error(plain, truth), 3e-3);
}

/// Three quarters of a head of 8 channels, in a context four times the original one.
Phi4Config longrope_model() {
  Phi4Config model;
  model.head_dim = 8;
  model.partial_rotary_factor = 0.75;
  model.rope_scaling = RopeScaling::kLongRope;
  model.rope_short_factor = {1.0, 1.25, 1.5};
  model.rope_long_factor = {2.0, 3.0, 5.0};
  model.original_max_position_embeddings = 16;
  model.max_position_embeddings = 64;
  return model;
}

TEST(Rope, PartialRotationTurnsTheFirstChannelsOfAHeadAsAHeadOfTheirWidth) {
  Phi4Config model;
  model.head_dim = 8;
  model.partial_rotary_factor = 0.75;
  const RopeTable part(kTheta, model, 40, at::kCPU), narrow(kTheta, 6, 40, at::kCPU);
  const at::Tensor x = random_tensor({37, 3 * 8}, 1);
  const at::Tensor positions = at::arange(37, at::kLong).flip(0).contiguous();
  const auto heads = [](const at::Tensor& y_NF) { return y_NF.view({37, 3, 8}); };
  const at::Tensor first_NF = heads(x).narrow(2, 0, 6).reshape({37, 18});
  for (const Rotation rotation : {Rotation::kForward, Rotation::kBackward}) {
    const at::Tensor expected = rotated(first_NF, 2, narrow, positions, rotation);
    const at::Tensor fused = rotated(x, 2, part, positions, rotation);
    at::Tensor plain = x.clone();
    rope_plain_(plain, 2, part, positions, rotation);
    for (const at::Tensor& found : {fused, plain}) {
      EXPECT_LT(relative_error(heads(found).narrow(2, 0, 6).reshape({37, 18}), expected), 1e-7);
      EXPECT_TRUE(at::equal(heads(found).narrow(2, 6, 2), heads(x).narrow(2, 6, 2)));
      EXPECT_TRUE(at::equal(heads(found).select(1, 2), heads(x).select(1, 2)));
    }
  }
}

// Frequencies and scale are what transformers 5.23 computes for this configuration
// (modeling_rope_utils.py, longrope): short factors up to and at the original length.
TEST(Rope, LongRopeTakesShortFactorsUpToTheOriginalLengthAndLongOnesPastIt) {
  const Phi4Config model = longrope_model();
  const double scale = 1.224744871391589;
  EXPECT_DOUBLE_EQ(rope_attention_factor(model), scale);
  const std::vector<double> is_short{1.0, 0.12699207663536072, 0.016798945143818855};
  const std::vector<double> is_long{0.5, 0.052913371473550797, 0.005039683543145657};
  for (const int64_t length : {1, 16, 17, 64}) {
    const RopeTable table(kTheta, model, length, at::kCPU);
    const at::Tensor frequency =
        at::tensor(length <= 16 ? is_short : is_long, at::TensorOptions(at::kDouble));
    const at::Tensor angle =
        at::outer(at::arange(length, at::TensorOptions(at::kDouble)), frequency);
    EXPECT_LT(relative_error(table.cos_TH, angle.cos() * scale), 1e-6) << length;
    EXPECT_LT((table.sin_TH - angle.sin() * scale).abs().max().item<double>(), 4e-6) << length;
  }
}

TEST(Rope, LongRopeScalesNothingWithinTheOriginalContextAndAsPublishedForPhi4Mini) {
  Phi4Config model = longrope_model();
  model.max_position_embeddings = 16;
  EXPECT_EQ(rope_attention_factor(model), 1.0);
  model.original_max_position_embeddings = 4096;
  model.max_position_embeddings = 131072;
  EXPECT_NEAR(rope_attention_factor(model), 1.190238, 1e-6);
  EXPECT_EQ(rope_attention_factor(Phi4Config{}), 1.0);
}

TEST(Rope, OneAndTwoThreadsGiveEqualBits) {
  SKIP_UNDER_THREAD_SANITIZER("OpenMP");
  const RopeTable table(kTheta, 8, 500, at::kCPU);
  const at::Tensor x = random_tensor({500, 24}, 1), positions = at::arange(500, at::kLong);
  EXPECT_TRUE(equal_at_one_and_two_threads(
      [&] { return std::vector<at::Tensor>{rotated(x, 3, table, positions)}; }));
}

}  // namespace
}  // namespace phalanx
