// Initial weights: the counter-based normal generator and the parts of a tensor it fills.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <utility>

#include "model/kernels/normal_draw.h"
#include "tests/model/random_tensor.h"

namespace phalanx {
namespace {

using kernels::normal_draw;
using kernels::normal_quantile;

TEST(NormalDraw, QuantilesAreThoseOfTheTables) {
  const std::pair<double, double> known[] = {
      {0.6, 0.2533471031357997},   {0.75, 0.6744897501960817},  {0.975, 1.959963984540054},
      {0.98, 2.0537489106318225},  {0.001, -3.090232306167813}, {1e-5, -4.264890793922825},
      {1e-10, -6.361340902404056}, {1e-15, -7.941345326170997}, {0.02425, -1.9729610513017556}};
  for (const auto& [p, z] : known) {
    EXPECT_LT(std::abs(normal_quantile(p) / z - 1), 1.2e-9) << p;
    if (p > 1e-4) {
      EXPECT_NEAR(normal_quantile(1 - p), -z, 3e-9) << p;
    }
  }
  EXPECT_EQ(normal_quantile(0.5), 0.0);
}

TEST(NormalDraw, QuantileInvertsTheDistributionFunctionEverywhere) {
  for (int i = 1; i < 4000; ++i) {
    const double p = i / 4000.0;
    const double z = normal_quantile(p);
    const double density = std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi);
    const double limit = 1.2e-9 * std::abs(z) * density + 1e-15;
    EXPECT_NEAR(0.5 * std::erfc(-z / std::sqrt(2.0)), p, limit);
  }
}

TEST(NormalDraw, AHundredThousandDrawsHaveTheMomentsOfANormal) {
  for (const uint64_t key : {0ULL, 1ULL, 0xdeadbeefULL}) {
    constexpr int kDraws = 100000;
    double moment[5] = {}, neighbours = 0, previous = 0;
    for (int i = 0; i < kDraws; ++i) {
      const double x = normal_draw(key, static_cast<uint64_t>(i));
      for (int k = 1; k <= 4; ++k) moment[k] += std::pow(x, k) / kDraws;
      neighbours += x * previous / kDraws;
      previous = x;
    }
    // Four standard errors each.
    EXPECT_NEAR(moment[1], 0, 4 * std::sqrt(1.0 / kDraws)) << key;
    EXPECT_NEAR(moment[2], 1, 4 * std::sqrt(2.0 / kDraws)) << key;
    EXPECT_NEAR(moment[3], 0, 4 * std::sqrt(15.0 / kDraws)) << key;
    EXPECT_NEAR(moment[4], 3, 4 * std::sqrt(96.0 / kDraws)) << key;
    EXPECT_NEAR(neighbours, 0, 4 * std::sqrt(1.0 / kDraws)) << key;
  }
}

TEST(NormalDraw, DrawsOfTwoKeysAreUncorrelated) {
  double product = 0;
  for (uint64_t i = 0; i < 100000; ++i) product += normal_draw(7, i) * normal_draw(8, i) / 1e5;
  EXPECT_NEAR(product, 0, 4 * std::sqrt(1e-5));
}

TEST(NormalFill, APartOfATensorIsAPartOfTheWhole) {
  const at::Tensor whole = at::empty({23, 17});
  normal_fill_(whole, {0, 0, 17}, 42, 0.02F);
  const at::Tensor rows = at::empty({6, 17});
  normal_fill_(rows, {5, 0, 17}, 42, 0.02F);
  EXPECT_TRUE(at::equal(rows, whole.narrow(0, 5, 6)));
  const at::Tensor columns = at::empty({23, 4});
  normal_fill_(columns, {0, 13, 17}, 42, 0.02F);
  EXPECT_TRUE(at::equal(columns, whole.narrow(1, 13, 4)));
  const at::Tensor nothing = at::empty({0, 17});
  normal_fill_(nothing, {23, 0, 17}, 42, 0.02F);
  EXPECT_EQ(whole[1][2].item<float>(), 0.02F * normal_draw(42, 17 + 2));
}

TEST(NormalFill, OneAndTwoThreadsGiveEqualBits) {
  SKIP_UNDER_THREAD_SANITIZER("OpenMP");
  EXPECT_TRUE(equal_at_one_and_two_threads([] {
    return std::vector<at::Tensor>{random_tensor({70, 3}, 9)};
  }));
}

}  // namespace
}  // namespace phalanx
