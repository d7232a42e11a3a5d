// The CUDA row kernels against their plain twins on the same GPU, for rows that take 16-byte
// accesses and rows that do not. Skipped, and counted as skipped, without a GPU.
#include <gtest/gtest.h>

#include "model/kernels/rms_norm.h"
#include "model/kernels/rope.h"
#include "model/kernels/swiglu.h"
#include "parallel/kernels/row_types.h"
#include "tests/model/random_tensor.h"
#include "tests/support/test_device.h"

namespace phalanx {
namespace {

class RowKernels : public OnTestDevice {};

constexpr double kEps = 1e-5;
constexpr at::ScalarType kTypes[] = {at::kFloat, at::kBFloat16};

at::Tensor on_gpu(const at::Tensor& x, at::ScalarType type) { return x.to(test_device(), type); }

double rounding_of(at::ScalarType type) { return type == at::kFloat ? 3e-6 : 5e-3; }

TEST_F(RowKernels, RmsNormAndItsGradientAreThoseOfThePlainTwin) {
  for (const at::ScalarType type : kTypes) {
    for (const int64_t d : {1, 33, 161, 512, 5120}) {
      const at::Tensor x = on_gpu(random_tensor({67, d}, 1) * 3 + 0.5, type);
      const at::Tensor w = on_gpu(random_tensor({d}, 2) + 1, type);
      const at::Tensor dy = on_gpu(random_tensor({67, d}, 3), type);
      const at::Tensor past = on_gpu(random_tensor({67, d}, 4), type);
      ASSERT_TRUE(kernels::has_row_kernel(x));
      const RmsNormOutput found = rms_norm(x, w, kEps), expected = rms_norm_plain(x, w, kEps);
      EXPECT_LT(relative_error(found.y_ND, expected.y_ND), rounding_of(type)) << d;
      EXPECT_LT(relative_error(found.rstd_N, expected.rstd_N), 1e-6) << d;
      for (const at::Tensor& residual : {at::Tensor(), past}) {
        const auto d_found = rms_norm_backward(dy, x, w, expected.rstd_N, residual);
        const auto d_plain = rms_norm_backward_plain(dy, x, w, expected.rstd_N, residual);
        EXPECT_LT(
            (d_found.dx_ND.to(at::kFloat) - d_plain.dx_ND.to(at::kFloat)).abs().max().item<float>(),
            type == at::kFloat ? 2e-5 : 6e-2)
            << d;
        EXPECT_LT(relative_error(d_found.dweight_D, d_plain.dweight_D), 5e-6) << d;
      }
    }
  }
}

TEST_F(RowKernels, TheNormOfASumIsThatOfThePlainTwin) {
  for (const at::ScalarType type : kTypes) {
    for (const int64_t d : {7, 512, 5120}) {
      const at::Tensor x = on_gpu(random_tensor({67, d}, 1) * 3, type);
      const at::Tensor delta = on_gpu(random_tensor({67, d}, 2), type);
      const at::Tensor w = on_gpu(random_tensor({d}, 3) + 1, type);
      const auto found = add_rms_norm(x, delta, w, kEps);
      const auto expected = add_rms_norm_plain(x, delta, w, kEps);
      EXPECT_TRUE(at::equal(found.h_ND, expected.h_ND)) << d;
      EXPECT_LT(relative_error(found.y_ND, expected.y_ND), rounding_of(type)) << d;
      EXPECT_LT(relative_error(found.rstd_N, expected.rstd_N), 1e-6) << d;
    }
  }
}

TEST_F(RowKernels, RopeTurnsHeadsInPlaceAndLeavesTheRest) {
  for (const at::ScalarType type : kTypes) {
    for (const int64_t dim : {6, 64, 128}) {
      const RopeTable table(250000, dim, 50, test_device());
      const at::Tensor positions = at::arange(50, at::kLong).flip(0).to(test_device());
      const at::Tensor x = on_gpu(random_tensor({50, 5 * dim}, 1), type);
      for (const Rotation rotation : {Rotation::kForward, Rotation::kBackward}) {
        const at::Tensor found = x.clone(), expected = x.clone();
        rope_(found, 4, table, positions, rotation);
        rope_plain_(expected, 4, table, positions, rotation);
        EXPECT_LT(relative_error(found, expected), rounding_of(type)) << dim;
        EXPECT_TRUE(at::equal(found.narrow(1, 4 * dim, dim), x.narrow(1, 4 * dim, dim))) << dim;
      }
    }
  }
}

TEST_F(RowKernels, SwigluAndItsGradientAreThoseOfThePlainTwin) {
  for (const at::ScalarType type : kTypes) {
    for (const int64_t f : {1, 71, 128, 17920}) {
      const at::Tensor x = on_gpu(random_tensor({33, 2 * f}, 1) * 4, type);
      const at::Tensor dy = on_gpu(random_tensor({33, f}, 2), type);
      EXPECT_LT(relative_error(swiglu(x), swiglu_plain(x)), rounding_of(type)) << f;
      EXPECT_LT(relative_error(swiglu_backward(dy, x), swiglu_backward_plain(dy, x)),
                rounding_of(type))
          << f;
    }
  }
}

TEST_F(RowKernels, EqualInputGivesEqualBits) {
  const at::Tensor x = on_gpu(random_tensor({300, 512}, 1), at::kBFloat16);
  const at::Tensor w = on_gpu(random_tensor({512}, 2), at::kBFloat16);
  const RmsNormOutput out = rms_norm(x, w, kEps);
  const auto once = rms_norm_backward(x, x, w, out.rstd_N);
  const auto again = rms_norm_backward(x, x, w, out.rstd_N);
  EXPECT_TRUE(at::equal(once.dweight_D, again.dweight_D));
  EXPECT_TRUE(at::equal(once.dx_ND, again.dx_ND));
}

TEST_F(RowKernels, WhatHasNoKernelIsLeftToThePlainTwin) {
  const at::Tensor x = random_tensor({5, 16}, 1).to(test_device(), at::kDouble);
  const at::Tensor w = random_tensor({16}, 2).to(test_device(), at::kDouble);
  EXPECT_FALSE(kernels::has_row_kernel(x));
  EXPECT_TRUE(at::equal(rms_norm(x, w, kEps).y_ND, rms_norm_plain(x, w, kEps).y_ND));
}

}  // namespace
}  // namespace phalanx
