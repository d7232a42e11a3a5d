// RMSNorm: the fused kernel, its plain twin and the definition in double.
#include "model/kernels/rms_norm.h"

#include <gtest/gtest.h>

#include "tests/model/random_tensor.h"

namespace phalanx {
namespace {

constexpr double kEps = 1e-5;

struct Inputs {
  at::Tensor x_ND, weight_D, dy_ND;
  Inputs(int64_t n, int64_t d)
      : x_ND(random_tensor({n, d}, 1) * 3 + 0.5),
        weight_D(random_tensor({d}, 2) + 1),
        dy_ND(random_tensor({n, d}, 3)) {}
};

at::Tensor definition(const at::Tensor& x_ND, const at::Tensor& weight_D) {
  return weight_D * x_ND / (x_ND.square().mean(1, true) + kEps).sqrt();
}

TEST(RmsNorm, FusedAndPlainKernelsAgreeForwardAndBackward) {
  for (const int64_t n : {1, 3, 65, 130}) {
    for (const int64_t d : {1, 7, 16, 33, 161}) {
      const Inputs in(n, d);
      const RmsNormOutput fused = rms_norm(in.x_ND, in.weight_D, kEps);
      const RmsNormOutput plain = rms_norm_plain(in.x_ND, in.weight_D, kEps);
      EXPECT_LT(relative_error(fused.y_ND, plain.y_ND), 5e-7) << n << " x " << d;
      EXPECT_LT(relative_error(fused.rstd_N, plain.rstd_N), 5e-7) << n << " x " << d;
      const auto fused_d = rms_norm_backward(in.dy_ND, in.x_ND, in.weight_D, plain.rstd_N);
      const auto plain_d = rms_norm_backward_plain(in.dy_ND, in.x_ND, in.weight_D, plain.rstd_N);
      // With one feature the two terms of dx cancel but for eps.
      EXPECT_LT((fused_d.dx_ND - plain_d.dx_ND).abs().max().item<float>(), 1e-5) << n << " x " << d;
      EXPECT_LT(relative_error(fused_d.dweight_D, plain_d.dweight_D), 2e-6) << n << " x " << d;
    }
  }
}

TEST(RmsNorm, GradientsAreTheFiniteDifferencesOfTheDefinition) {
  const Inputs in(5, 9);
  const at::Tensor x = in.x_ND.to(at::kDouble), w = in.weight_D.to(at::kDouble);
  const at::Tensor dy = in.dy_ND.to(at::kDouble);
  const auto of_x = [&](const at::Tensor& v) {
    return (definition(v, w) * dy).sum().item<double>();
  };
  const auto of_w = [&](const at::Tensor& v) {
    return (definition(x, v) * dy).sum().item<double>();
  };
  const RmsNormOutput out = rms_norm(in.x_ND, in.weight_D, kEps);
  EXPECT_LT(relative_error(out.y_ND, definition(x, w)), 3e-7);
  const auto d = rms_norm_backward(in.dy_ND, in.x_ND, in.weight_D, out.rstd_N);
  EXPECT_LT(relative_error(d.dx_ND, numeric_gradient(of_x, x)), 2e-6);
  EXPECT_LT(relative_error(d.dweight_D, numeric_gradient(of_w, w)), 2e-6);
}

TEST(RmsNorm, InBf16BothKernelsStayWithinItsRoundingOfFp32) {
  const Inputs in(67, 48);
  const auto half = [](const at::Tensor& t) { return t.to(at::kBFloat16); };
  const at::Tensor x = half(in.x_ND), w = half(in.weight_D), dy = half(in.dy_ND);
  const at::Tensor x32 = x.to(at::kFloat), w32 = w.to(at::kFloat), dy32 = dy.to(at::kFloat);
  const RmsNormOutput truth = rms_norm_plain(x32, w32, kEps);
  const auto truth_d = rms_norm_backward_plain(dy32, x32, w32, truth.rstd_N);
  for (const bool fused : {true, false}) {
    const RmsNormOutput out = fused ? rms_norm(x, w, kEps) : rms_norm_plain(x, w, kEps);
    ASSERT_EQ(out.y_ND.scalar_type(), at::kBFloat16);
    EXPECT_LT(relative_error(out.y_ND, truth.y_ND), 4e-3) << "fused " << fused;
    const auto d = fused ? rms_norm_backward(dy, x, w, out.rstd_N)
                         : rms_norm_backward_plain(dy, x, w, out.rstd_N);
    EXPECT_LT(relative_error(d.dx_ND, truth_d.dx_ND), 3e-3) << "fused " << fused;
    // Summed in fp32: no rounding to bf16 on the way.
    ASSERT_EQ(d.dweight_D.scalar_type(), at::kFloat);
    EXPECT_LT(relative_error(d.dweight_D, truth_d.dweight_D), 2e-6) << "fused " << fused;
  }
}

/// One pass over memory gives the bits of two, forward and backward.
TEST(RmsNorm, ResidualSumsGiveTheBitsOfSumsOfTheirOwn) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const Inputs in(35, 50);
    const at::Tensor x = in.x_ND.to(dtype), w = in.weight_D.to(dtype), dy = in.dy_ND.to(dtype);
    const at::Tensor delta = random_tensor({35, 50}, 4).to(dtype);
    const AddRmsNormOutput sum = add_rms_norm(x, delta, w, kEps);
    const RmsNormOutput alone = rms_norm(x + delta, w, kEps);
    EXPECT_TRUE(at::equal(sum.h_ND, x + delta));
    EXPECT_TRUE(at::equal(sum.y_ND, alone.y_ND));
    EXPECT_TRUE(at::equal(sum.rstd_N, alone.rstd_N));
    const auto d = rms_norm_backward(dy, x, w, alone.rstd_N, delta);
    const auto without = rms_norm_backward(dy, x, w, alone.rstd_N);
    EXPECT_TRUE(at::equal(d.dx_ND, without.dx_ND + delta));
    EXPECT_TRUE(at::equal(d.dweight_D, without.dweight_D));
  }
}

TEST(RmsNorm, OneAndTwoThreadsGiveEqualBits) {
  SKIP_UNDER_THREAD_SANITIZER("OpenMP");
  const Inputs in(777, 40);
  EXPECT_TRUE(equal_at_one_and_two_threads([&] {
    const RmsNormOutput out = rms_norm(in.x_ND, in.weight_D, kEps);
    const auto d = rms_norm_backward(in.dy_ND, in.x_ND, in.weight_D, out.rstd_N);
    return std::vector<at::Tensor>{out.y_ND, out.rstd_N, d.dx_ND, d.dweight_D};
  }));
}

}  // namespace
}  // namespace phalanx
