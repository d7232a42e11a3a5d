#pragma once
// What the fused CPU kernels share: element types, sums in a fixed order of 16 lanes and an
// exponential made of plain multiplications and additions. Compiled without contraction into fused
// multiply-adds, so results do not depend on the vector width of the machine. Local, no state.
#include <c10/util/BFloat16.h>

#include <bit>
#include <cmath>
#include <cstdint>

namespace phalanx::kernels {

inline constexpr int64_t kLanes = 16;

/// Lane l gets terms l, l + 16, ...; lanes are added pairwise.
template <typename Term>
inline float sum_in_lanes(int64_t count, const Term& term) {
  float lane[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) lane[l] += term(i + l);
  }
  for (int64_t l = 0; i + l < count; ++l) lane[l] += term(i + l);
  for (int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (int64_t l = 0; l < width; ++l) lane[l] += lane[l + width];
  }
  return lane[0];
}

/// e^x within 2 ulp for x in [-87, 88], clamped outside: 2^n * p(r) with r = x - n ln 2 and the
/// degree-7 Taylor polynomial. Branch-free, so that loops over it become vector code.
inline float exp_polynomial(float x) {
  x = x < -87.0f ? -87.0f : (x > 88.0f ? 88.0f : x);
  const float n = std::nearbyint(x * 1.44269504f);
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts
  float p = 1.0f / 5040.0f;
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return p * std::bit_cast<float>((static_cast<int32_t>(n) + 127) << 23);
}

inline float sigmoid(float x) { return 1.0f / (1.0f + exp_polynomial(-x)); }

}  // namespace phalanx::kernels
