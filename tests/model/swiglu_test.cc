// SwiGLU: the fused kernel, its plain twin and the definition in double; and the exponential in it.
#include "model/kernels/swiglu.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "parallel/kernels/row_math.h"
#include "tests/model/random_tensor.h"

namespace phalanx {
namespace {

at::Tensor definition(const at::Tensor& gate_up_N2f) {
  const auto parts = gate_up_N2f.chunk(2, 1);
  return parts[1] * parts[0] / (1 + (-parts[0]).exp());
}

TEST(Swiglu, FusedAndPlainKernelsAgreeForwardAndBackward) {
  for (const int64_t n : {1, 9, 33}) {
    for (const int64_t f : {1, 7, 71, 128}) {
      const at::Tensor x = random_tensor({n, 2 * f}, 1) * 4, dy = random_tensor({n, f}, 2);
      EXPECT_LT(relative_error(swiglu(x), swiglu_plain(x)), 4e-7) << n << " x " << f;
      EXPECT_LT(relative_error(swiglu_backward(dy, x), swiglu_backward_plain(dy, x)), 4e-7)
          << n << " x " << f;
    }
  }
}

TEST(Swiglu, GradientIsTheFiniteDifferenceOfTheDefinition) {
  const at::Tensor x = random_tensor({4, 14}, 1) * 2, dy = random_tensor({4, 7}, 2);
  const auto of_x = [&](const at::Tensor& v) {
    return (definition(v) * dy.to(at::kDouble)).sum().item<double>();
  };
  EXPECT_LT(relative_error(swiglu(x), definition(x.to(at::kDouble))), 3e-7);
  EXPECT_LT(relative_error(swiglu_backward(dy, x), numeric_gradient(of_x, x)), 1e-6);
}

TEST(Swiglu, InBf16BothKernelsStayWithinItsRoundingOfFp32) {
  const at::Tensor x = (random_tensor({21, 62}, 1) * 3).to(at::kBFloat16);
  const at::Tensor dy = random_tensor({21, 31}, 2).to(at::kBFloat16);
  const at::Tensor truth = swiglu_plain(x.to(at::kFloat));
  const at::Tensor truth_d = swiglu_backward_plain(dy.to(at::kFloat), x.to(at::kFloat));
  EXPECT_LT(relative_error(swiglu(x), truth), 3e-3);
  EXPECT_LT(relative_error(swiglu_plain(x), truth), 3e-3);
  EXPECT_LT(relative_error(swiglu_backward(dy, x), truth_d), 3e-3);
  EXPECT_LT(relative_error(swiglu_backward_plain(dy, x), truth_d), 3e-3);
}

TEST(Swiglu, LargeGatesSaturateAndNotANumberIsKept) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  at::Tensor x = at::tensor({-1e4F, -100.F, 0.F, 100.F, 1e4F, nan, 1.F, 1.F, 1.F, 1.F, 1.F, 1.F});
  const at::Tensor y = swiglu(x.view({1, 12}));
  const float* value = y.const_data_ptr<float>();
  EXPECT_NEAR(value[0], 0.0, 1e-30);
  EXPECT_NEAR(value[1], 0.0, 1e-30);
  EXPECT_EQ(value[2], 0.0F);
  EXPECT_EQ(value[3], 100.0F);
  EXPECT_EQ(value[4], 1e4F);
  EXPECT_TRUE(std::isnan(value[5]));
}

TEST(Swiglu, OneAndTwoThreadsGiveEqualBits) {
  SKIP_UNDER_THREAD_SANITIZER("OpenMP");
  const at::Tensor x = random_tensor({500, 80}, 1), dy = random_tensor({500, 40}, 2);
  EXPECT_TRUE(equal_at_one_and_two_threads([&] {
    return std::vector<at::Tensor>{swiglu(x), swiglu_backward(dy, x)};
  }));
}

TEST(ExpPolynomial, IsWithinTwoUlpFromMinus87To88) {
  double worst = 0;
  for (int64_t i = 0; i <= 2'000'000; ++i) {
    const auto x = static_cast<float>(-87.0 + 175.0 * static_cast<double>(i) / 2e6);
    const double truth = std::exp(static_cast<double>(x));
    const auto rounded = static_cast<float>(truth);
    const double ulp =
        static_cast<double>(std::nextafter(rounded, std::numeric_limits<float>::infinity())) -
        rounded;
    worst = std::max(worst, std::abs(kernels::exp_polynomial(x) - truth) / ulp);
  }
  EXPECT_LE(worst, 2.0);
  EXPECT_EQ(kernels::exp_polynomial(0.0F), 1.0F);
}

}  // namespace
}  // namespace phalanx
