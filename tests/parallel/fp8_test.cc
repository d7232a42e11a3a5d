// fp8 products: what scaling and rounding may cost, element by element, against fp32.
#include "parallel/fp8.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "parallel/kernels/fp8_row.h"
#include "tests/model/random_tensor.h"
#include "tests/support/test_device.h"

namespace phalanx {
namespace {

class Fp8 : public OnTestDevice {};

constexpr double kHalfUlp = 1.0 / 16;        // e4m3 keeps three bits after the point
constexpr double kSmallestStep = 1.0 / 512;  // between its subnormal numbers

at::Tensor back(const Fp8Tensor& x) { return x.values.to(at::kFloat) * x.scale; }

at::Tensor random_on_device(const std::vector<int64_t>& shape, uint64_t seed) {
  return random_tensor(shape, seed).to(test_device());
}

TEST_F(Fp8, EveryElementIsRoundedOnceAndTheLargestMagnitudeIsKept) {
  for (const double size : {1e-30, 1.0, 3e4, 1e30}) {
    const at::Tensor x = random_on_device({64, 48}, 1) * size;
    const Fp8Tensor found = to_fp8(x);
    ASSERT_EQ(found.values.scalar_type(), at::kFloat8_e4m3fn);
    EXPECT_EQ(found.values.to(at::kFloat).abs().max().item<float>(), 448.0F);
    EXPECT_NEAR(back(found).abs().max().item<double>() / x.abs().max().item<double>(), 1, 1e-6);
    // Half a unit in the last place of a normal number, half a step of a subnormal one.
    const at::Tensor bound =
        at::maximum(x.abs() * kHalfUlp, found.scale * kSmallestStep / 2) * (1 + 1e-5);
    EXPECT_TRUE(((back(found) - x).abs() <= bound).all().item<bool>()) << size;
  }
}

TEST_F(Fp8, BothLayoutsAndEveryWidthHoldTheNumbersThatOneElementAfterAnotherGives) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const auto& [rows, columns] : {std::pair{64, 128}, {65, 7}, {1, 3}, {200, 80}}) {
      const at::Tensor x = random_tensor({rows, columns}, 1).to(type) * 3;
      const float scale = kernels::fp8_scale(x.to(at::kFloat).abs().max().item<float>());
      at::Tensor expected = at::empty({rows, columns}, at::TensorOptions(at::kFloat));
      for (int64_t i = 0; i < x.numel(); ++i) {
        const float value = x.view({-1})[i].item<float>();
        expected.view({-1})[i] =
            static_cast<float>(c10::Float8_e4m3fn(kernels::fp8_scaled(value, scale)));
      }
      const Fp8Tensor plain = to_fp8(x.to(test_device()));
      const Fp8Tensor turned = to_fp8(x.to(test_device()), Fp8Layout::kTransposed);
      EXPECT_EQ(plain.scale.item<float>(), scale);
      EXPECT_EQ(turned.scale.item<float>(), scale);
      EXPECT_TRUE(at::equal(plain.values.to(at::kFloat).cpu(), expected)) << rows;
      EXPECT_TRUE(turned.values.is_contiguous());
      EXPECT_TRUE(at::equal(turned.values.to(at::kFloat).cpu(), expected.t())) << rows;
    }
  }
}

TEST_F(Fp8, ZeroStaysZeroAndWhatIsNotFiniteIsNotHidden) {
  const Fp8Tensor zero = to_fp8(at::zeros({16, 16}).to(test_device()));
  EXPECT_EQ(back(zero).abs().max().item<float>(), 0.0F);
  for (const float bad : {INFINITY, NAN}) {
    at::Tensor x = random_tensor({16, 16}, 1);
    x[3][4] = bad;
    const at::Tensor y =
        linear_forward(x.to(test_device(), at::kBFloat16),
                       at::ones({16, 16}).to(test_device(), at::kBFloat16), Products::kFp8);
    EXPECT_FALSE(at::isfinite(y).all().item<bool>()) << bad;
  }
}

struct Layer {
  at::Tensor x = random_on_device({32, 64}, 1).to(at::kBFloat16);
  at::Tensor w = (random_on_device({48, 64}, 2) * 0.02).to(at::kBFloat16);
  at::Tensor dy = (random_on_device({32, 48}, 3) * 1e-4).to(at::kBFloat16);
};

/// Every factor carries at most half a unit in the last place, or half a subnormal step.
at::Tensor error_bound(const at::Tensor& a_MK, const at::Tensor& b_NK) {
  const auto error_of = [](const at::Tensor& x) {
    const at::Tensor step = x.abs().max() / 448 * kSmallestStep / 2;
    return at::maximum(x.abs() * kHalfUlp, step);
  };
  const at::Tensor a = a_MK.to(at::kFloat), b = b_NK.to(at::kFloat);
  const at::Tensor da = error_of(a), db = error_of(b);
  return at::mm(da, b.abs().t()) + at::mm(a.abs(), db.t()) + at::mm(da, db.t());
}

TEST_F(Fp8, ProductsStayWithinTheRoundingOfTheirFactors) {
  const Layer l;
  const auto fp32 = [](const at::Tensor& x) { return x.to(at::kFloat); };
  const auto expect_close = [&](const at::Tensor& found, const at::Tensor& a, const at::Tensor& b) {
    const at::Tensor truth = at::mm(fp32(a), fp32(b).t());
    const at::Tensor bound = error_bound(a, b) + truth.abs() / 256;  // and bf16's own rounding
    EXPECT_TRUE(((fp32(found) - truth).abs() <= bound * 1.001).all().item<bool>());
    const double error = relative_error(fp32(found).cpu(), truth.cpu());
    EXPECT_LT(error, 0.06);
    EXPECT_GT(error, 1e-3);  // it is fp8 that was used
  };
  expect_close(linear_forward(l.x, l.w, Products::kFp8), l.x, l.w);
  expect_close(linear_backward_input(l.dy, l.w, Products::kFp8), l.dy, l.w.t());
  at::Tensor dw = at::ones({48, 64}).to(test_device());
  linear_backward_weight(dw, l.dy, l.x, Products::kFp8);
  expect_close(dw - 1, l.dy.t(), l.x.t());
}

TEST_F(Fp8, SizesThatCublasDoesNotTakeAreComputedInTheComputeType) {
  const at::Tensor x = random_on_device({5, 24}, 1), w = random_on_device({16, 24}, 2);
  EXPECT_TRUE(at::equal(linear_forward(x, w, Products::kFp8), linear_forward(x, w)));
  at::Tensor found = at::zeros({16, 32}).to(test_device()), expected = found.clone();
  const at::Tensor dy = random_on_device({5, 16}, 3), wide = random_on_device({5, 32}, 4);
  linear_backward_weight(found, dy, wide, Products::kFp8);
  linear_backward_weight(expected, dy, wide);
  EXPECT_TRUE(at::equal(found, expected));
}

}  // namespace
}  // namespace phalanx
