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

at::Tensor back(const Fp8Tensor& x) { return x.values_RC.to(at::kFloat) * x.scale; }

at::Tensor random_on_device(const std::vector<int64_t>& shape, uint64_t seed) {
  return random_tensor(shape, seed).to(test_device());
}

TEST_F(Fp8, EveryElementIsRoundedOnceAndTheLargestMagnitudeIsKept) {
  for (const double size : {1e-30, 1.0, 3e4, 1e30}) {
    const at::Tensor x = random_on_device({64, 48}, 1) * size;
    const Fp8Tensor found = to_fp8(x);
    ASSERT_EQ(found.values_RC.scalar_type(), at::kFloat8_e4m3fn);
    EXPECT_EQ(found.values_RC.to(at::kFloat).abs().max().item<float>(), 448.0F);
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
      EXPECT_TRUE(at::equal(plain.values_RC.to(at::kFloat).cpu(), expected)) << rows;
      EXPECT_TRUE(turned.values_RC.is_contiguous());
      EXPECT_TRUE(at::equal(turned.values_RC.to(at::kFloat).cpu(), expected.t())) << rows;
    }
  }
}

// Each row by itself, or each column once turned, gives what a matrix of that row alone gives.
TEST_F(Fp8, ScalesOfRowsAreThoseOfEachRowAlone) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const auto& [rows, columns] : {std::pair{64, 128}, {65, 7}, {1, 3}, {200, 80}}) {
      at::Tensor x = random_tensor({rows, columns}, 1).to(type) * 3;
      x.select(0, rows / 2).mul_(1000);
      x.select(1, 0).zero_();
      const at::Tensor there = x.to(test_device());
      const auto expect_rows = [&](const Fp8Tensor& found, const at::Tensor& of) {
        ASSERT_EQ(found.scale.sizes(), (std::vector<int64_t>{of.size(0), 1}));
        for (int64_t r = 0; r < of.size(0); ++r) {
          const Fp8Tensor alone = to_fp8(of.narrow(0, r, 1).contiguous());
          EXPECT_EQ(found.scale[r].item<float>(), alone.scale.item<float>()) << r;
          EXPECT_TRUE(at::equal(found.values_RC.narrow(0, r, 1).to(at::kFloat),
                                alone.values_RC.to(at::kFloat)))
              << r;
        }
      };
      expect_rows(to_fp8(there, Fp8Layout::kAsItIs, Fp8Scaling::kRows), there);
      expect_rows(to_fp8(there, Fp8Layout::kTransposed, Fp8Scaling::kRows), there.t());
    }
  }
}

TEST_F(Fp8, ZeroStaysZeroAndWhatIsNotFiniteIsNotHidden) {
  const Fp8Tensor zero = to_fp8(at::zeros({16, 16}).to(test_device()));
  EXPECT_EQ(back(zero).abs().max().item<float>(), 0.0F);
  for (const Products products : {Products::kFp8, Products::kFp8Rowwise}) {
    for (const float bad : {INFINITY, NAN}) {
      at::Tensor x = random_tensor({16, 16}, 1);
      x[3][4] = bad;
      const at::Tensor y =
          linear_forward(x.to(test_device(), at::kBFloat16),
                         at::ones({16, 16}).to(test_device(), at::kBFloat16), products);
      EXPECT_FALSE(at::isfinite(y[3]).any().item<bool>()) << bad;
    }
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
  for (const Products products : {Products::kFp8, Products::kFp8Rowwise}) {
    expect_close(linear_forward(l.x, l.w, products), l.x, l.w);
    expect_close(linear_backward_input(l.dy, l.w, products), l.dy, l.w.t());
    // The second is a gradient whose rows begin where 16 bytes do not.
    for (const int64_t first : {0, 3}) {
      at::Tensor dw = at::ones({48, 64 + 3}).to(test_device());
      linear_backward_weight(dw.narrow(1, first, 64), l.dy, l.x, products);
      expect_close(dw.narrow(1, first, 64) - 1, l.dy.t(), l.x.t());
      EXPECT_TRUE((dw.narrow(1, first == 0 ? 64 : 0, 3) == 1).all().item<bool>());
    }
  }
}

// One token a million times as large as the others, whose values all vanish beside it under one
// scale.
TEST_F(Fp8, ScalesOfRowsKeepAnOutlierToItsRow) {
  Layer l;
  l.x.select(0, 5).mul_(1e6);
  const at::Tensor truth = at::mm(l.x.to(at::kFloat), l.w.to(at::kFloat).t());
  const auto error_of_others = [&](Products products) {
    const at::Tensor found = linear_forward(l.x, l.w, products).to(at::kFloat);
    return relative_error(found.narrow(0, 6, 26).cpu(), truth.narrow(0, 6, 26).cpu());
  };
  EXPECT_GT(error_of_others(Products::kFp8), 0.9);
  EXPECT_LT(error_of_others(Products::kFp8Rowwise), 0.06);
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
