#pragma once
// One standard normal for each (key, element): a counter-based generator, so a part of a tensor can
// be drawn without the rest, on CPU and CUDA alike. Only IEEE-exact operations (+ - * / sqrt, no
// contraction), so both give equal bits.
// Source: the inverse normal distribution function by P. J. Acklam's rational approximation,
// relative error below 1.2e-9.
#include <cstdint>

#include "parallel/kernels/host_device.h"
#include "parallel/kernels/keyed_bits.h"

namespace phalanx::kernels {

/// ln(x) for x in (0, 1): x = m * 2^e with m in [0.75, 1.5), then 2 atanh((m - 1) / (m + 1)).
PHALANX_HOST_DEVICE inline double log_series(double x) {
  int e = 0;
  while (x < 0.75) {
    x *= 2.0;
    --e;
  }
  const double z = (x - 1.0) / (x + 1.0), z2 = z * z;
  double sum = 0.0;
  for (int k = 23; k >= 1; k -= 2) sum = sum * z2 + 1.0 / k;
  return e * 0.69314718055994530942 + 2.0 * z * sum;
}

PHALANX_HOST_DEVICE inline double square_root(double x) {
#ifdef __CUDA_ARCH__
  return __dsqrt_rn(x);
#else
  return __builtin_sqrt(x);
#endif
}

PHALANX_HOST_DEVICE inline double tail_quantile(double p) {
  const double q = square_root(-2.0 * log_series(p));
  const double n =
      ((((-7.784894002430293e-03 * q - 3.223964580411365e-01) * q - 2.400758277161838e+00) * q -
        2.549732539343734e+00) *
           q +
       4.374664141464968e+00) *
          q +
      2.938163982698783e+00;
  const double d =
      (((7.784695709041462e-03 * q + 3.224671290700398e-01) * q + 2.445134137142996e+00) * q +
       3.754408661907416e+00) *
          q +
      1.0;
  return n / d;
}

/// Inverse of the standard normal distribution function, p in (0, 1).
PHALANX_HOST_DEVICE inline double normal_quantile(double p) {
  if (p < 0.02425) return tail_quantile(p);
  if (p > 1.0 - 0.02425) return -tail_quantile(1.0 - p);
  const double q = p - 0.5, r = q * q;
  const double n =
      ((((-3.969683028665376e+01 * r + 2.209460984245205e+02) * r - 2.759285104469687e+02) * r +
        1.383577518672690e+02) *
           r -
       3.066479806614716e+01) *
          r +
      2.506628277459239e+00;
  const double d =
      ((((-5.447609879822406e+01 * r + 1.615858368580409e+02) * r - 1.556989798598866e+02) * r +
        6.680131188771972e+01) *
           r -
       1.328068155288572e+01) *
          r +
      1.0;
  return q * n / d;
}

PHALANX_HOST_DEVICE inline float normal_draw(uint64_t key, uint64_t element) {
  const uint64_t bits = keyed_bits(key, element);
  return static_cast<float>(
      normal_quantile((static_cast<double>(bits >> 12) + 0.5) * (1.0 / 4503599627370496.0)));
}

}  // namespace phalanx::kernels
