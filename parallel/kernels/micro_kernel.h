#pragma once
// The innermost product of all CPU matrix work: a tile of C from a panel of A and a panel of B that
// lie packed in memory (the scheme of Goto and van de Geijn, "Anatomy of high-performance matrix
// multiplication", 2008). One source for every instruction set: an Isa says what its vectors are.
// Local, one thread, no state. Everything here is inlined into the file that names the Isa, which
// is the only one compiled with that instruction set's flags.
//
// Packed panels, R = Isa::kRows, W = Isa::kColumns, G = Isa::kGroup (1: fp32; 2: pairs of bf16, as
// vdpbf16ps takes them), depth padded with zeros to a multiple of G:
//   A: a[(k / G) * R * G + i * G + k % G]     B: b[(k / G) * W * G + j * G + k % G]
// Each element of C is one chain of fused multiply-adds in order of k, so that the bits depend
// neither on the tile's place nor, in fp32, on the instruction set.
#include <cstdint>

namespace phalanx::kernels {

/// c[i * ldc + j] = (add ? c[i * ldc + j] : 0) + sum over k of a * b, for the whole tile R x W;
/// `groups` is depth / G.
template <class Isa>
inline __attribute__((always_inline)) void multiply_panels(const typename Isa::Element* a,
                                                           const typename Isa::Element* b,
                                                           int64_t groups, float* c, int64_t ldc,
                                                           bool add) {
  constexpr int kVectors = Isa::kColumns / Isa::kLanes;
  typename Isa::Sum sum[Isa::kRows][kVectors];
#pragma GCC unroll 16
  for (int i = 0; i < Isa::kRows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[i][v] = typename Isa::Sum{};
  }
  for (int64_t g = 0; g < groups; ++g) {
    typename Isa::Operand column[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) column[v] = Isa::load(b + v * Isa::kLanes * Isa::kGroup);
#pragma GCC unroll 16
    for (int i = 0; i < Isa::kRows; ++i) {
      const typename Isa::Operand row = Isa::broadcast(a + i * Isa::kGroup);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[i][v] = Isa::multiply_add(row, column[v], sum[i][v]);
    }
    a += Isa::kRows * Isa::kGroup;
    b += Isa::kColumns * Isa::kGroup;
  }
#pragma GCC unroll 16
  for (int i = 0; i < Isa::kRows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      float* out = c + i * ldc + v * Isa::kLanes;
      Isa::store(out, add ? Isa::load_sum(out) + sum[i][v] : sum[i][v]);
    }
  }
}

}  // namespace phalanx::kernels
