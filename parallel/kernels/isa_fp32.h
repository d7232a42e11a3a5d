#pragma once
// fp32 instruction sets for micro_kernel.h, by vector width. GCC's vector extensions stand for the
// instructions; the file that includes this chooses them by its flags (-mavx2 -mfma, -mavx512f) and
// must allow contraction into fused multiply-adds (-ffp-contract=fast). Local, no state.
#include <cstdint>

namespace phalanx::kernels {

/// The bits of bf16, rounded to nearest even; NaN stays NaN.
template <class Isa>
inline __attribute__((always_inline)) typename Isa::Halves nearest_bf16(typename Isa::Sum x) {
  using Bits = typename Isa::Bits;
  const Bits bits = (Bits)x;  // of equal sizes, the cast keeps the bits
  const Bits nearest = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const Bits quiet = (bits >> 16) | 0x40u;
  const Bits is_nan = (Bits)((bits & 0x7fffffffu) > 0x7f800000u);
  const Bits kept = (nearest & ~is_nan) | (quiet & is_nan);
  return __builtin_convertvector(kept, typename Isa::Halves);
}

template <int kVectorLanes, int kTileRows>
struct IsaFp32 {
  using Element = float;
  static constexpr int kLanes = kVectorLanes;
  static constexpr int kRows = kTileRows;
  static constexpr int kColumns = 2 * kVectorLanes;
  static constexpr int kGroup = 1;
  typedef float Sum __attribute__((vector_size(4 * kVectorLanes)));
  typedef float UnalignedSum __attribute__((vector_size(4 * kVectorLanes), aligned(4), may_alias));
  typedef uint32_t Bits __attribute__((vector_size(4 * kVectorLanes)));
  typedef uint16_t Halves __attribute__((vector_size(2 * kVectorLanes)));
  typedef uint16_t UnalignedHalves
      __attribute__((vector_size(2 * kVectorLanes), aligned(2), may_alias));
  using Operand = Sum;

  static inline __attribute__((always_inline)) Operand load(const float* b) { return load_sum(b); }
  static inline __attribute__((always_inline)) Operand broadcast(const float* a) {
    return *a - Operand{};  // x - 0 is x even for -0, so no instruction is left of it
  }
  static inline __attribute__((always_inline)) Sum multiply_add(Operand a, Operand b, Sum sum) {
    return a * b + sum;
  }
  static inline __attribute__((always_inline)) Sum load_sum(const float* c) {
    return *reinterpret_cast<const UnalignedSum*>(c);
  }
  static inline __attribute__((always_inline)) void store(float* c, Sum sum) {
    *reinterpret_cast<UnalignedSum*>(c) = sum;
  }
  static inline __attribute__((always_inline)) void store(uint16_t* c, Sum sum) {
    *reinterpret_cast<UnalignedHalves*>(c) = nearest_bf16<IsaFp32>(sum);
  }
};

/// Sixteen 256-bit registers: 12 sums, 2 columns, 1 row. Thirty-two of 512 bits: 24, 2, 1.
using IsaAvx2 = IsaFp32<8, 6>;
using IsaAvx512 = IsaFp32<16, 12>;

}  // namespace phalanx::kernels
