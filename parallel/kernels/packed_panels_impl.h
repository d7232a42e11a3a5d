#pragma once
// Packing into the panels of micro_kernel.h, and the product of a packed block with a packed strip:
// what the CPU's matrix products and its attention share. Included by one file for each instruction
// set, which gives the Isa; all is local to that file, so that no function compiled for a wide set
// is shared with code that must run without. Local, one thread, no state.
#include <cstdint>
#include <cstring>

#include "parallel/kernels/micro_kernel.h"

namespace phalanx::kernels {
namespace {

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

inline float widened(float x) { return x; }
inline float widened(uint16_t x) {
  const uint32_t bits = uint32_t{x} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

/// To nearest even; NaN stays NaN.
inline uint16_t rounded(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  if ((bits & 0x7fffffffu) > 0x7f800000u) return uint16_t((bits >> 16) | 0x40u);
  return uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// Packs `lines` x `depth` elements into panels of kWidth lines; element (line, k) lies at
/// x[line * line_stride + k * depth_stride]. Missing lines of the last panel are zeros.
template <int kWidth, class T>
void pack_panels(const T* x, int64_t line_stride, int64_t depth_stride, int64_t lines,
                 int64_t depth, float* out) {
  for (int64_t first = 0; first < lines; first += kWidth, out += kWidth * depth) {
    const T* panel = x + first * line_stride;
    const int64_t width = smaller(kWidth, lines - first);
    if (width < kWidth) {
      for (int64_t k = 0; k < depth; ++k) {
        for (int64_t i = 0; i < kWidth; ++i) {
          out[k * kWidth + i] =
              i < width ? widened(panel[i * line_stride + k * depth_stride]) : 0.0f;
        }
      }
    } else if (line_stride == 1) {
      for (int64_t k = 0; k < depth; ++k) {
        for (int i = 0; i < kWidth; ++i) out[k * kWidth + i] = widened(panel[k * depth_stride + i]);
      }
    } else {
      // Short runs along each line, so that a cache line is read once whatever the stride.
      constexpr int64_t kRun = 8;
      for (int64_t k0 = 0; k0 < depth; k0 += kRun) {
        const int64_t run = smaller(kRun, depth - k0);
        for (int i = 0; i < kWidth; ++i) {
          const T* line = panel + i * line_stride + k0;
          for (int64_t k = 0; k < run; ++k) out[(k0 + k) * kWidth + i] = widened(line[k]);
        }
      }
    }
  }
}

/// Rows [0, rows) of a packed block times a packed strip, to c. Tiles at the edges go by way of a
/// tile of their own. The strip may have been packed deeper than what is multiplied.
template <class Isa>
void multiply_packed(const float* a, const float* b, int64_t rows, int64_t columns, int64_t depth,
                     int64_t strip_depth, float* c, int64_t ldc, bool add) {
  alignas(64) float edge[Isa::kRows * Isa::kColumns];
  for (int64_t j = 0; j < columns; j += Isa::kColumns, b += Isa::kColumns * strip_depth) {
    for (int64_t i = 0; i < rows; i += Isa::kRows) {
      const float* panel = a + i * depth;
      float* tile = c + i * ldc + j;
      if (rows - i >= Isa::kRows && columns - j >= Isa::kColumns) {
        multiply_panels<Isa>(panel, b, depth, tile, ldc, add);
        continue;
      }
      multiply_panels<Isa>(panel, b, depth, edge, Isa::kColumns, false);
      for (int64_t r = 0; r < smaller(Isa::kRows, rows - i); ++r) {
        for (int64_t s = 0; s < smaller(Isa::kColumns, columns - j); ++s) {
          const float value = edge[r * Isa::kColumns + s];
          tile[r * ldc + s] = add ? tile[r * ldc + s] + value : value;
        }
      }
    }
  }
}

}  // namespace
}  // namespace phalanx::kernels
