// Sums that are the same bits in any order and however they are shared out over ranks.
#include "trainer/exact_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "tests/support/ranks.h"
#include "trainer/world_sums.h"

namespace phalanx {
namespace {

double sum_of(const std::vector<double>& values) {
  ExactSum sum;
  for (const double value : values) sum.add(value);
  return sum.value();
}

/// Of very different sizes and both signs.
std::vector<double> uneven_values(size_t count) {
  std::mt19937_64 bits(5);
  std::vector<double> values;
  for (size_t i = 0; i < count; ++i) {
    const auto mantissa = static_cast<double>(bits() >> 11);
    values.push_back(
        std::ldexp((i % 3 == 0 ? -1 : 1) * mantissa, static_cast<int>(bits() % 120) - 60));
  }
  return values;
}

TEST(ExactSum, DoesNotDependOnTheOrder) {
  std::vector<double> values = uneven_values(2000);
  const double expected = sum_of(values);
  std::mt19937_64 order(1);
  bool plain_sums_differ = false;
  const double plain = std::accumulate(values.begin(), values.end(), 0.0);
  for (int i = 0; i < 20; ++i) {
    for (size_t k = values.size(); k > 1; --k) std::swap(values[k - 1], values[order() % k]);
    EXPECT_EQ(sum_of(values), expected);
    plain_sums_differ |= std::accumulate(values.begin(), values.end(), 0.0) != plain;
  }
  EXPECT_TRUE(plain_sums_differ);
}

TEST(ExactSum, LosesNothing) {
  EXPECT_EQ(sum_of({1e300, 1.0, -1e300}), 1.0);
  EXPECT_EQ(sum_of({1e-300, 1e300, -1e300}), 1e-300);
  EXPECT_EQ(sum_of({-3.25, 1.0}), -2.25);
  EXPECT_EQ(sum_of({}), 0.0);
  const double least = std::numeric_limits<double>::denorm_min();
  const double most = std::numeric_limits<double>::max();
  EXPECT_EQ(sum_of({least, least}), 2 * least);
  EXPECT_EQ(sum_of({-least}), -least);
  EXPECT_EQ(sum_of({most, most, -most}), most);
  EXPECT_EQ(sum_of({most, -most, least}), least);
}

TEST(ExactSum, IsNearestToTheSumInALongerType) {
  const std::vector<double> values = uneven_values(500);
  const long double expected = std::accumulate(values.begin(), values.end(), 0.0L);
  EXPECT_NEAR(sum_of(values) / static_cast<double>(expected), 1, 1e-15);
}

TEST(ExactSum, OneValueThatIsNotFiniteIsEnough) {
  EXPECT_TRUE(std::isnan(sum_of({1.0, std::nan(""), 2.0})));
  EXPECT_TRUE(std::isnan(sum_of({std::numeric_limits<double>::infinity()})));
}

TEST(WorldSums, ExactOnesAreTheSameOnAnyNumberOfRanks) {
  const std::vector<double> values = uneven_values(64);
  for (const int ranks : {1, 2, 4, 8}) {
    run_ranks(ranks, [&](Communicator& world) {
      WorldSums exact(2, Summation::kExact), in_order(2, Summation::kInOrder);
      const size_t mine = values.size() / static_cast<size_t>(ranks);
      const std::span<const double> share(values.data() + mine * static_cast<size_t>(world.rank()),
                                          mine);
      exact.add_all(1, share);
      in_order.add_all(1, share);
      exact.reduce(world);
      in_order.reduce(world);
      EXPECT_EQ(exact[1], sum_of(values)) << ranks;
      EXPECT_EQ(exact[0], 0.0);
      EXPECT_NEAR(in_order[1] / exact[1], 1, 1e-9);
    });
  }
}

}  // namespace
}  // namespace phalanx
