// Thinned curves: few points, and none of the extremes lost.
#include "launch/report/curve.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace phalanx {
namespace {

std::vector<double> count_up(size_t n) {
  std::vector<double> values(n);
  std::iota(values.begin(), values.end(), 1.0);
  return values;
}

TEST(Thin, ShortCurvesStayAsTheyAre) {
  const std::vector<double> x = count_up(10), y = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3};
  const Curve curve = thin(x, y, 10);
  EXPECT_EQ(curve.x, x);
  EXPECT_EQ(curve.y, y);
  EXPECT_TRUE(curve.low.empty());
}

TEST(Thin, KeepsExtremesAndTheMean) {
  const std::vector<double> x = count_up(12'345);
  std::vector<double> y(x.size(), 2.0);
  y[7777] = 100.0;
  y[123] = -50.0;
  const Curve curve = thin(x, y, 1000);
  ASSERT_EQ(curve.x.size(), 500u);
  ASSERT_EQ(curve.low.size(), 500u);
  EXPECT_EQ(*std::max_element(curve.high.begin(), curve.high.end()), 100.0);
  EXPECT_EQ(*std::min_element(curve.low.begin(), curve.low.end()), -50.0);
  EXPECT_EQ(curve.x.back(), 12'345.0);
  EXPECT_TRUE(std::is_sorted(curve.x.begin(), curve.x.end()));
  for (size_t i = 0; i < curve.y.size(); ++i) {
    EXPECT_LE(curve.low[i], curve.y[i]);
    EXPECT_GE(curve.high[i], curve.y[i]);
  }
}

TEST(Thin, LeavesOutWhatIsNotFinite) {
  const double none = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> x = count_up(4), y = {1, none, 3, INFINITY};
  const Curve curve = thin(x, y, 10);
  EXPECT_EQ(curve.x, (std::vector<double>{1, 3}));
  EXPECT_EQ(curve.y, (std::vector<double>{1, 3}));
  EXPECT_TRUE(thin({}, {}, 10).x.empty());
}

}  // namespace
}  // namespace phalanx
