#pragma once
// e^x on a vector of an Isa (parallel/kernels/isa_fp32.h): 2^n p(r) with r = x - n ln 2 in two
// parts and the Taylor polynomial of degree 7, within 2 ulp; exactly 0 below -87, NaN stays. Local
// to the file that includes it, as the Isa is.
#include <cstdint>

namespace phalanx::kernels {
namespace {

template <class Isa>
inline __attribute__((always_inline)) typename Isa::Sum exp_vector(typename Isa::Sum x) {
  using Vector = typename Isa::Sum;
  typedef int32_t Bits __attribute__((vector_size(sizeof(Vector))));
  const Vector lowest = -87.0f - Vector{}, highest = 88.0f - Vector{};
  const Vector bounded = x > highest ? highest : (x < lowest ? lowest : x);
  // Adding 1.5 * 2^23 rounds to a whole number.
  const Vector n = (bounded * 1.44269504f + 12582912.0f) - 12582912.0f;
  const Vector r = (bounded - n * 0.693359375f) + n * 2.12194440e-4f;
  Vector p = r * (1.0f / 5040.0f) + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const Bits exponent = (__builtin_convertvector(n, Bits) + 127) << 23;
  // Of equal sizes, the cast keeps the bits.
  const Vector value = p * (Vector)exponent;
  return x < lowest ? Vector{} : value;
}

}  // namespace
}  // namespace phalanx::kernels
