// The arithmetic of the CUDA row kernels, thread by thread on the CPU, against the plain twins in
// fp32: every element once, whatever the number of threads and the width of an access.
#include <gtest/gtest.h>

#include "model/kernels/rms_norm.h"
#include "model/kernels/rms_norm_row.h"
#include "model/kernels/rope.h"
#include "model/kernels/rope_row.h"
#include "model/kernels/swiglu.h"
#include "model/kernels/swiglu_row.h"
#include "tests/model/random_tensor.h"
#include "tests/support/row_block.h"

namespace phalanx {
namespace {

using kernels::RowThread;

constexpr double kEps = 1e-5;
constexpr int kThreads[] = {1, 3, 32};

template <typename T>
struct NormInputs {
  at::Tensor x_ND, delta_ND, weight_D, dy_ND, dresidual_ND;
  NormInputs(int64_t n, int64_t d)
      : x_ND(as_type<T>(random_tensor({n, d}, 1) * 3 + 0.5)),
        delta_ND(as_type<T>(random_tensor({n, d}, 2))),
        weight_D(as_type<T>(random_tensor({d}, 3) + 1)),
        dy_ND(as_type<T>(random_tensor({n, d}, 4))),
        dresidual_ND(as_type<T>(random_tensor({n, d}, 5))) {}
};

template <typename T>
const T* row_of(const at::Tensor& x_ND, int64_t row) {
  return x_ND.const_data_ptr<T>() + row * x_ND.size(1);
}
template <typename T>
T* row_to(const at::Tensor& x_ND, int64_t row) {
  return x_ND.mutable_data_ptr<T>() + row * x_ND.size(1);
}

TEST(RowThreads, TheNormOfASumIsThatOfThePlainTwin) {
  for_types_and_widths([]<typename T, int W>() {
    const int64_t n = 3, d = 40;
    const NormInputs<T> in(n, d);
    const auto expected = add_rms_norm_plain(in.x_ND, in.delta_ND, in.weight_D, kEps);
    for (const int threads : kThreads) {
      const at::Tensor h = at::empty_like(in.x_ND), y = at::empty_like(in.x_ND);
      for (int64_t row = 0; row < n; ++row) {
        const float sum = sum_over_threads(threads, [&](RowThread t) {
          return kernels::add_and_square<W>(t, row_of<T>(in.x_ND, row), row_of<T>(in.delta_ND, row),
                                            row_to<T>(h, row), d);
        });
        EXPECT_NEAR(sum_over_threads(threads,
                                     [&](RowThread t) {
                                       return kernels::sum_of_squares<W>(t, row_of<T>(h, row), d);
                                     }),
                    sum, 1e-6 * sum);
        const float rstd = kernels::rstd_of(sum, d, kEps);
        EXPECT_NEAR(rstd, expected.rstd_N[row].template item<float>(), 1e-6 * rstd);
        for_each_thread(threads, [&](RowThread t) {
          kernels::write_norm<W>(t, row_of<T>(h, row), in.weight_D.template const_data_ptr<T>(),
                                 rstd, row_to<T>(y, row), d);
        });
      }
      EXPECT_TRUE(at::equal(h, expected.h_ND)) << threads << " threads";
      EXPECT_LT(relative_error(y, expected.y_ND), rounding_of<T>()) << threads << " threads";
    }
  });
}

TEST(RowThreads, TheGradientOfANormAddsTheResidualAndSumsWeightsOverTokens) {
  for_types_and_widths([]<typename T, int W>() {
    const int64_t n = 5, d = 24;
    const NormInputs<T> in(n, d);
    const at::Tensor rstd_N = rms_norm_plain(in.x_ND, in.weight_D, kEps).rstd_N;
    const auto fp32 = [](const at::Tensor& x) { return x.to(at::kFloat); };
    for (const bool residual : {false, true}) {
      const auto expected =
          rms_norm_backward_plain(fp32(in.dy_ND), fp32(in.x_ND), fp32(in.weight_D), rstd_N,
                                  residual ? fp32(in.dresidual_ND) : at::Tensor());
      const at::Tensor dx = at::empty_like(in.x_ND), dweight = at::zeros({d});
      for (int64_t i = 0; i < n; ++i) {
        const kernels::NormRow<T> row{
            row_of<T>(in.dy_ND, i), row_of<T>(in.x_ND, i), in.weight_D.template const_data_ptr<T>(),
            residual ? row_of<T>(in.dresidual_ND, i) : nullptr, rstd_N[i].template item<float>()};
        const float dot =
            sum_over_threads(3, [&](RowThread t) { return kernels::norm_dot<W>(t, row, d); });
        for_each_thread(3, [&](RowThread t) {
          kernels::write_norm_gradient<W>(t, row, dot / float(d), row_to<T>(dx, i),
                                          dweight.mutable_data_ptr<float>(), d);
        });
      }
      EXPECT_LT(relative_error(dx, expected.dx_ND), rounding_of<T>()) << residual;
      EXPECT_LT(relative_error(dweight, expected.dweight_D), 2e-6) << residual;
    }
  });
}

TEST(RowThreads, HeadsTurnAsThePlainTwinTurnsThemAndTheRestOfARowStays) {
  for_types_and_widths([]<typename T, int W>() {
    const int64_t n = 4, heads = 3, head_dim = 24, rotated = 16;
    RopeTable table(10000, rotated, 9, at::kCPU);
    table.head_dim = head_dim;  // the last 8 channels of a head stay
    const at::Tensor positions = at::tensor({0, 3, 8, 1}, at::kLong);
    const at::Tensor x = as_type<T>(random_tensor({n, (heads + 1) * head_dim}, 1));
    for (const Rotation rotation : {Rotation::kForward, Rotation::kBackward}) {
      at::Tensor expected = x.clone();
      rope_plain_(expected, heads, table, positions, rotation);
      for (const int threads : kThreads) {
        const at::Tensor found = x.clone();
        for (int64_t i = 0; i < n; ++i) {
          const int64_t angle = positions[i].item<int64_t>() * rotated / 2;
          const kernels::RopeRow row{table.cos_TH.const_data_ptr<float>() + angle,
                                     table.sin_TH.const_data_ptr<float>() + angle,
                                     heads,
                                     head_dim,
                                     rotated / 2,
                                     rotation == Rotation::kForward ? 1.0F : -1.0F};
          for_each_thread(
              threads, [&](RowThread t) { kernels::rotate_heads<W>(t, row, row_to<T>(found, i)); });
        }
        EXPECT_LT(relative_error(found, expected), rounding_of<T>()) << threads << " threads";
        EXPECT_TRUE(at::equal(found.narrow(1, heads * head_dim, head_dim),
                              x.narrow(1, heads * head_dim, head_dim)));
      }
    }
  });
}

TEST(RowThreads, SwigluAndItsGradientAreThoseOfThePlainTwin) {
  for_types_and_widths([]<typename T, int W>() {
    const int64_t n = 3, f = 40;
    const at::Tensor x = as_type<T>(random_tensor({n, 2 * f}, 1) * 4);
    const at::Tensor dy = as_type<T>(random_tensor({n, f}, 2));
    const at::Tensor y_plain = swiglu_plain(x.to(at::kFloat));
    const at::Tensor d_plain = swiglu_backward_plain(dy.to(at::kFloat), x.to(at::kFloat));
    for (const int threads : kThreads) {
      const at::Tensor y = at::empty_like(dy), d = at::empty_like(x);
      for (int64_t i = 0; i < n; ++i) {
        for_each_thread(threads, [&](RowThread t) {
          kernels::write_swiglu<W>(t, row_of<T>(x, i), row_to<T>(y, i), f);
          kernels::write_swiglu_gradient<W>(t, row_of<T>(dy, i), row_of<T>(x, i), row_to<T>(d, i),
                                            f);
        });
      }
      EXPECT_LT(relative_error(y, y_plain), rounding_of<T>()) << threads << " threads";
      EXPECT_LT(relative_error(d, d_plain), rounding_of<T>()) << threads << " threads";
    }
  });
}

}  // namespace
}  // namespace phalanx
