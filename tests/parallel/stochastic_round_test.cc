// Stochastic rounding to bf16: unbiased, between the two neighbours, and exact where bf16 is.
#include "parallel/kernels/stochastic_round.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

namespace phalanx {
namespace {

using kernels::stochastic_bf16;

constexpr uint64_t kDraws = 1 << 16;  // all that 16 random bits can be

float from_bits(uint32_t bits) { return std::bit_cast<float>(bits); }
float bf16_from_bits(uint32_t bits) { return from_bits(bits << 16); }
constexpr uint32_t kLargestBf16 = 0x7f7f;

/// Both signs, normal and subnormal, beside powers of two, with all kinds of low bits.
std::vector<float> finite_values() {
  std::vector<float> values{1.0F,
                            1.0F + 0x1p-23F,
                            2.0F - 0x1p-23F,
                            3.14159274F,
                            1e-30F,
                            std::numeric_limits<float>::min(),
                            std::numeric_limits<float>::denorm_min(),
                            from_bits(0x007fffff),   // the largest subnormal
                            from_bits(0x00018001),   // between two bf16 subnormals
                            from_bits(0x7f7effff)};  // its upper neighbour is the largest bf16
  for (uint64_t i = 0; i < 40; ++i) {
    const auto bits = static_cast<uint32_t>(kernels::mix64(i)) & 0x7fffffffu;
    if (bits < kLargestBf16 << 16) values.push_back(from_bits(bits));
  }
  const size_t count = values.size();
  for (size_t i = 0; i < count; ++i) values.push_back(-values[i]);
  return values;
}

TEST(StochasticRound, TheMeanOverAllDrawsIsTheValue) {
  for (const float x : finite_values()) {
    double sum = 0.0;  // of multiples of an ulp, so exact
    for (uint64_t r = 0; r < kDraws; ++r) sum += double{float{stochastic_bf16(x, r)}};
    EXPECT_EQ(sum / kDraws, double{x});
  }
}

TEST(StochasticRound, OnlyTheTwoNeighboursAreDrawnAndTheFartherWithTheProbabilityOfTheDistance) {
  for (const float x : finite_values()) {
    const uint32_t bits = std::bit_cast<uint32_t>(x);
    const uint16_t toward_zero = static_cast<uint16_t>(bits >> 16);
    uint32_t away = 0;
    for (uint64_t r = 0; r < kDraws; ++r) {
      const uint16_t drawn = stochastic_bf16(x, r).x;
      if (drawn == toward_zero) continue;
      ASSERT_EQ(drawn, toward_zero + 1) << x;
      ++away;
    }
    EXPECT_EQ(away, bits & 0xffffu) << x;
  }
}

TEST(StochasticRound, EveryBf16ValueStaysInfinitiesIncluded) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float x = bf16_from_bits(bits);
    if (std::isnan(x)) continue;
    for (const uint64_t r : {uint64_t{0}, uint64_t{0x8000}, uint64_t{0xffff}, ~uint64_t{0}}) {
      ASSERT_EQ(stochastic_bf16(x, r).x, bits) << x;
    }
  }
}

TEST(StochasticRound, NanStaysNanAndAFiniteValueStaysFinite) {
  const float beyond = std::nextafter(bf16_from_bits(kLargestBf16), INFINITY);
  for (uint64_t r = 0; r < kDraws; r += 255) {
    for (const uint32_t nan : {0x7f800001u, 0x7fc00000u, 0x7fffffffu, 0xffffffffu, 0xff800001u}) {
      EXPECT_TRUE(std::isnan(float{stochastic_bf16(from_bits(nan), r)}));
    }
    for (const float x : {beyond, std::numeric_limits<float>::max()}) {
      EXPECT_EQ(stochastic_bf16(x, r).x, kLargestBf16);
      EXPECT_EQ(stochastic_bf16(-x, r).x, kLargestBf16 | 0x8000u);
    }
  }
}

TEST(KeyedBits, TheMeanOverElementsStepsAndNamesIsTheValue) {
  const float x = 1.0F + 0.25F / 128;  // a quarter of the way to the next bf16
  const auto mean = [&](const auto& bits_of) {
    constexpr int kCount = 100'000;
    double up = 0;
    for (int i = 0; i < kCount; ++i) up += float{stochastic_bf16(x, bits_of(i))} > 1.0F;
    return up / kCount;
  };
  // The deviation of a mean of 100,000 draws is 0.0014.
  const uint64_t q = named_key("layers.0.attention.q.weight", 1);
  const uint64_t key = key_for(q, KeyUse::kOptimizerRounding, 7);
  for (const int shift : {0, 16, 32}) {
    EXPECT_NEAR(mean([&](int i) { return kernels::keyed_bits(key, uint64_t(i)) >> shift; }), 0.25,
                0.006);
  }
  EXPECT_NEAR(mean([&](int step) {
                return kernels::keyed_bits(key_for(q, KeyUse::kOptimizerRounding, step), 3);
              }),
              0.25, 0.006);
  EXPECT_NEAR(mean([](int i) {
                const uint64_t named = named_key("tensor " + std::to_string(i), 1);
                return kernels::keyed_bits(key_for(named, KeyUse::kGradientRounding, 1), 3);
              }),
              0.25, 0.006);
}

TEST(KeyedBits, SeedNameUseStepAndElementEachChangeThem) {
  std::set<uint64_t> seen;
  for (const uint64_t seed : {1, 2}) {
    for (const char* name : {"a", "b"}) {
      for (const KeyUse use : {KeyUse::kOptimizerRounding, KeyUse::kGradientRounding}) {
        for (const int64_t step : {0, 1}) {
          for (const uint64_t element : {0, 1}) {
            seen.insert(kernels::keyed_bits(key_for(named_key(name, seed), use, step), element));
          }
        }
      }
    }
  }
  EXPECT_EQ(seen.size(), 32U);
}

}  // namespace
}  // namespace phalanx
