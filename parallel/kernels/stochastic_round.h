#pragma once
// Rounds fp32 to one of its two bf16 neighbours, the farther from zero with the probability of the
// distance from the other, so that the mean over random bits is the value itself: additions too
// small for bf16's 8 bits are not lost, they happen now and then.
// Local; integer arithmetic only, so CPU and CUDA give equal bits. Exact for the 16 bits that go:
// all 2^16 values of `random` together have the mean of the value. Values that bf16 has, infinities
// included, stay; NaN stays NaN; a finite value beyond the largest bf16 becomes that, not infinite.
// Source: Gupta et al., arXiv 1502.02551, section 3.
#include <c10/util/BFloat16.h>

#include <cstdint>

#include "parallel/kernels/keyed_bits.h"

namespace phalanx::kernels {

PHALANX_HOST_DEVICE inline uint32_t float_bits(float x) {
#ifdef __CUDA_ARCH__
  return __float_as_uint(x);
#else
  return __builtin_bit_cast(uint32_t, x);
#endif
}

/// Uses the 16 low bits of `random`.
PHALANX_HOST_DEVICE inline c10::BFloat16 stochastic_bf16(float x, uint64_t random) {
  constexpr uint32_t kSign = 0x80000000u, kInfinity = 0x7f800000u, kLargest = 0x7f7fu;
  const uint32_t bits = float_bits(x), magnitude = bits & ~kSign;
  const uint32_t drawn = (magnitude + (static_cast<uint32_t>(random) & 0xffffu)) >> 16;
  const uint32_t finite = drawn < kLargest ? drawn : kLargest;
  const uint32_t special = magnitude > kInfinity ? 0x7fc0u : kInfinity >> 16;
  const uint32_t rounded = magnitude < kInfinity ? finite : special;
  return {static_cast<uint16_t>(rounded | (bits & kSign) >> 16), c10::BFloat16::from_bits()};
}

/// Stores x in the type of `out`.
PHALANX_HOST_DEVICE inline void store_rounded(float x, uint64_t, float& out) { out = x; }
PHALANX_HOST_DEVICE inline void store_rounded(float x, uint64_t random, c10::BFloat16& out) {
  out = stochastic_bf16(x, random);
}

}  // namespace phalanx::kernels
