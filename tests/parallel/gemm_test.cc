// The products of a linear layer against products in double, on every path that this machine has.
#include "parallel/gemm.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "parallel/kernels/packed_gemm.h"
#include "tests/support/thread_sanitizer.h"

namespace phalanx {
namespace {

struct Sizes {
  int64_t n, i, o;
};

// Below, at and past the tile, the panel's depth (384), the block of rows (144) and the strip
// (1024).
const std::vector<Sizes> kSizes = {{1, 1, 1},    {1, 5, 3},      {7, 13, 17},   {6, 16, 16},
                                   {12, 32, 32}, {145, 385, 33}, {37, 769, 50}, {150, 20, 1030},
                                   {64, 64, 64}, {3, 1000, 2}};

class ThreadCount {
 public:
  explicit ThreadCount(int threads) : before_(at::get_num_threads()) {
    at::set_num_threads(threads);
  }
  ~ThreadCount() { at::set_num_threads(before_); }

 private:
  int before_;
};

at::Tensor random(int64_t rows, int64_t columns, at::ScalarType dtype) {
  return at::randn({rows, columns}).to(dtype);
}

/// The probabilistic bound of Higham and Mary (2019) on a sum of k terms, 4 sqrt(k) u sum of
/// |terms|, u = 2^-24; a bf16 result is rounded once more.
void expect_product(const at::Tensor& found, const at::Tensor& expected, const at::Tensor& sizes,
                    int64_t depth) {
  ASSERT_EQ(found.sizes(), expected.sizes());
  const double factor = 4.0 * std::sqrt(double(depth + 1)) * std::ldexp(1.0, -24);
  const double rounding = found.scalar_type() == at::kBFloat16 ? 1.0 / 256.0 : 0.0;
  const at::Tensor error = (found.to(at::kDouble) - expected).abs();
  const at::Tensor bound = expected.abs() * rounding + sizes * factor;
  EXPECT_TRUE((error <= bound).all().item<bool>())
      << "largest error " << error.max().item<double>() << " at depth " << depth;
}

/// a b, and the same of absolute values.
void expect_product(const at::Tensor& found, const at::Tensor& a, const at::Tensor& b,
                    const at::Tensor& before) {
  const at::Tensor a64 = a.to(at::kDouble), b64 = b.to(at::kDouble), c64 = before.to(at::kDouble);
  expect_product(found, at::mm(a64, b64) + c64, at::mm(a64.abs(), b64.abs()) + c64.abs(),
                 a.size(1));
}

at::Tensor in_double(const at::Tensor& x) { return x.to(at::kDouble); }

kernels::PackedGemmIsa isa_for(at::ScalarType dtype) {
  return kernels::packed_gemm_isa(dtype == at::kBFloat16 ? kernels::GemmInput::kBf16
                                                         : kernels::GemmInput::kFp32);
}

/// Whether the product is ours, which promises bits; else LibTorch's.
bool is_ours(at::ScalarType dtype) { return isa_for(dtype) != kernels::PackedGemmIsa::kNone; }

class Products : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(Products, AreThoseInDouble) {
  at::manual_seed(1);
  for (const Sizes& s : kSizes) {
    const at::Tensor x = random(s.n, s.i, GetParam()), w = random(s.o, s.i, GetParam());
    const at::Tensor dy = random(s.n, s.o, GetParam());
    expect_product(linear_forward(x, w), x, w.t(), at::zeros({1}));
    expect_product(linear_backward_input(dy, w), dy, w, at::zeros({1}));
    const at::Tensor before = at::randn({s.o, s.i});
    at::Tensor dw = before.clone();
    linear_backward_weight(dw, dy, x);
    const at::Tensor dx_before = random(s.n, s.i, GetParam());
    at::Tensor dx = dx_before.clone();
    linear_backward_input_add(dx, dy, w);
    expect_product(dx, dy, w, dx_before);
    if (GetParam() == at::kFloat || is_ours(GetParam())) {
      expect_product(dw, dy.t(), x, before);
    } else {  // LibTorch rounds the product before it is added
      const at::Tensor sum = in_double(before) + at::mm(in_double(dy).t(), in_double(x));
      EXPECT_LT((in_double(dw) - sum).norm().item<double>(),
                0.01 * sum.norm().item<double>() + 1e-6);
    }
  }
}

TEST_P(Products, TakeStridedRows) {
  if (!is_ours(GetParam())) GTEST_SKIP() << "LibTorch's products promise no bits";
  at::manual_seed(2);
  const at::Tensor wide = random(40, 90, GetParam());
  const at::Tensor dy = wide.narrow(1, 11, 30), x = wide.narrow(1, 50, 40);
  const at::Tensor w = random(60, 40, GetParam()).narrow(0, 7, 30);
  EXPECT_TRUE(at::equal(linear_forward(x, w), linear_forward(x.contiguous(), w.contiguous())));
  EXPECT_TRUE(at::equal(linear_backward_input(dy, w),
                        linear_backward_input(dy.contiguous(), w.contiguous())));
  at::Tensor dw = at::zeros({30, 40}), same = at::zeros({30, 40});
  linear_backward_weight(dw, dy, x);
  linear_backward_weight(same, dy.contiguous(), x.contiguous());
  EXPECT_TRUE(at::equal(dw, same));
}

TEST_P(Products, OfNothingAreZeros) {
  const auto options = at::TensorOptions(GetParam());
  EXPECT_EQ(linear_forward(at::empty({0, 4}, options), at::ones({3, 4}, options)).size(0), 0);
  const at::Tensor y = linear_forward(at::empty({2, 0}, options), at::empty({3, 0}, options));
  EXPECT_TRUE(at::equal(y, at::zeros({2, 3}, options)));
  at::Tensor dw = at::ones({3, 4});
  linear_backward_weight(dw, at::empty({0, 3}, options), at::empty({0, 4}, options));
  EXPECT_TRUE(at::equal(dw, at::ones({3, 4})));
}

TEST_P(Products, CarryWhatIsNotFinite) {
  at::Tensor x = at::ones({20, 50}).to(GetParam());
  x[13][49] = std::numeric_limits<float>::infinity();
  x[5][0] = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor y = linear_forward(x, at::ones({33, 50}).to(GetParam()));
  EXPECT_TRUE(y[13].isinf().all().item<bool>());
  EXPECT_TRUE(y[5].isnan().all().item<bool>());
  EXPECT_EQ(y.isfinite().sum().item<int64_t>(), 18 * 33);
}

TEST_P(Products, DoNotDependOnTheNumberOfThreads) {
  SKIP_UNDER_THREAD_SANITIZER("OpenMP");
  if (!is_ours(GetParam())) GTEST_SKIP() << "LibTorch's products promise no bits";
  at::manual_seed(3);
  const at::Tensor x = random(333, 500, GetParam()), w = random(1100, 500, GetParam());
  const at::Tensor dy = random(333, 1100, GetParam());
  std::vector<at::Tensor> first;
  for (const int threads : {1, 2, 3, 8}) {
    const ThreadCount count(threads);
    at::Tensor dw = at::ones({1100, 500});
    linear_backward_weight(dw, dy, x);
    const std::vector<at::Tensor> all = {linear_forward(x, w), linear_backward_input(dy, w), dw};
    if (first.empty()) first = all;
    for (size_t p = 0; p < all.size(); ++p) {
      EXPECT_TRUE(at::equal(all[p], first[p])) << "product " << p << ", threads " << threads;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Products, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& type) {
                           return type.param == at::kFloat ? "fp32" : "bf16";
                         });

TEST(ProductsText, SaysWhatIsWidened) {
  const std::string text = cpu_products_text(at::kBFloat16);
  EXPECT_EQ(text.find("widened") == std::string::npos,
            isa_for(at::kBFloat16) == kernels::PackedGemmIsa::kAvx512Bf16)
      << text;
}

}  // namespace
}  // namespace phalanx
