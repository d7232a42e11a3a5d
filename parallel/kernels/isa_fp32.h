#pragma once
// fp32 instruction sets for micro_kernel.h, by vector width. GCC's vector extensions stand for the
// instructions; the file that includes this chooses them by its flags (-mavx2 -mfma, -mavx512f) and
// must allow contraction into fused multiply-adds (-ffp-contract=fast). Local, no state.
#include <cstdint>

namespace phalanx::kernels {

template <int kVectorLanes, int kTileRows>
struct IsaFp32 {
  using Element = float;
  static constexpr int kLanes = kVectorLanes;
  static constexpr int kRows = kTileRows;
  static constexpr int kColumns = 2 * kVectorLanes;
  static constexpr int kGroup = 1;
  typedef float Sum __attribute__((vector_size(4 * kVectorLanes)));
  typedef float UnalignedSum __attribute__((vector_size(4 * kVectorLanes), aligned(4), may_alias));
  using Operand = Sum;

  static inline __attribute__((always_inline)) Operand load(const float* b) {
    return *reinterpret_cast<const UnalignedSum*>(b);
  }
  static inline __attribute__((always_inline)) Operand broadcast(const float* a) {
    return *a - Operand{};  // x - 0 is x even for -0, so no instruction is left of it
  }
  static inline __attribute__((always_inline)) Sum multiply_add(Operand a, Operand b, Sum sum) {
    return a * b + sum;
  }
  static inline __attribute__((always_inline)) Sum load_sum(const float* c) { return load(c); }
  static inline __attribute__((always_inline)) void store(float* c, Sum sum) {
    *reinterpret_cast<UnalignedSum*>(c) = sum;
  }
};

/// Sixteen 256-bit registers: 12 sums, 2 columns, 1 row. Thirty-two of 512 bits: 24, 2, 1.
using IsaAvx2 = IsaFp32<8, 6>;
using IsaAvx512 = IsaFp32<16, 12>;

}  // namespace phalanx::kernels
