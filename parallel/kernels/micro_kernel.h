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
// Each element of C is one chain of multiply-adds in order of k, so that the bits do not depend on
// the tile's place nor, for fp32 elements, on the instruction set.
#include <cstdint>

namespace phalanx::kernels {

/// Where a tile of C goes: out = partial + sum, partial null: zeros. Out is float or the 16 bits of
/// bf16, to which the sum is rounded once. partial and out may be the same memory.
template <class Out>
struct TileOutput {
  const float* partial = nullptr;
  int64_t partial_stride = 0;
  Out* out = nullptr;
  int64_t out_stride = 0;

  TileOutput at(int64_t row, int64_t column) const {
    const float* p = partial ? partial + row * partial_stride + column : nullptr;
    return {p, partial_stride, out + row * out_stride + column, out_stride};
  }
};

/// The whole tile R x W; `groups` is depth / G.
template <class Isa, class Out>
inline __attribute__((always_inline)) void multiply_panels(const typename Isa::Element* a,
                                                           const typename Isa::Element* b,
                                                           int64_t groups,
                                                           const TileOutput<Out>& c) {
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
  const bool add = c.partial != nullptr;
#pragma GCC unroll 16
  for (int i = 0; i < Isa::kRows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const float* partial = c.partial + i * c.partial_stride + v * Isa::kLanes;
      Isa::store(c.out + i * c.out_stride + v * Isa::kLanes,
                 add ? Isa::load_sum(partial) + sum[i][v] : sum[i][v]);
    }
  }
}

}  // namespace phalanx::kernels
