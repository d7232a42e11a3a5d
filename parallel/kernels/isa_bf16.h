#pragma once
// bf16 instruction sets for micro_kernel.h: elements are the 16 bits of a bf16 number, multiplied
// in pairs and summed in fp32. Local, no state; for files compiled as isa_fp32.h says.
#include <cstdint>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#include "parallel/kernels/isa_fp32.h"

namespace phalanx::kernels {

/// Pairs in plain vector arithmetic: what the instruction means, for tests on any machine.
template <int kVectorLanes, int kTileRows>
struct IsaBf16Pairs : IsaFp32<kVectorLanes, kTileRows> {
  using Wide = IsaFp32<kVectorLanes, kTileRows>;
  using typename Wide::Sum;
  using Element = uint16_t;
  static constexpr int kGroup = 2;
  using Operand = typename Wide::Bits;  // a pair a lane, the first of it in the low half
  typedef uint32_t UnalignedPairs
      __attribute__((vector_size(4 * kVectorLanes), aligned(2), may_alias));
  typedef uint32_t UnalignedPair __attribute__((aligned(2), may_alias));

  static inline __attribute__((always_inline)) Operand load(const uint16_t* b) {
    return *reinterpret_cast<const UnalignedPairs*>(b);
  }
  static inline __attribute__((always_inline)) Operand broadcast(const uint16_t* a) {
    return *reinterpret_cast<const UnalignedPair*>(a) | Operand{};
  }
  static inline __attribute__((always_inline)) Sum multiply_add(Operand a, Operand b, Sum sum) {
    constexpr uint32_t kHigh = 0xffff0000u;
    sum += (Sum)(a & kHigh) * (Sum)(b & kHigh);
    return sum + (Sum)(a << 16) * (Sum)(b << 16);
  }
};

#ifdef __AVX512BF16__
/// vdpbf16ps; subnormal numbers count as zero there.
struct IsaAvx512Bf16 : IsaBf16Pairs<16, 12> {
  static inline __attribute__((always_inline)) Sum multiply_add(Operand a, Operand b, Sum sum) {
    return (Sum)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
  }
};
#endif

}  // namespace phalanx::kernels
