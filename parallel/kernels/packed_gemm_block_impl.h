#pragma once
// The loops around micro_kernel.h for one thread's block of C: strips of columns, panels of depth,
// blocks of rows. Included by one file for each instruction set, which gives the Isa; all is local
// to that file, so that no function compiled for a wide set is shared with code that must run
// without.
#include <cstdint>

#include "parallel/kernels/packed_gemm_block.h"
#include "parallel/kernels/packed_panels_impl.h"

namespace phalanx::kernels {
namespace {

struct Workspace {
  float* a;      // kBlockRows x kPanelDepth
  float* b;      // kPanelDepth x kStripColumns
  float* strip;  // rows x kStripColumns, for a bf16 result
};

/// Columns [first, first + width) of the block.
template <class Isa, class T>
void multiply_strip(const Gemm& g, int64_t first, int64_t width, const Workspace& workspace) {
  const bool to_bf16 = g.output == GemmOutput::kBf16;
  float* c = to_bf16 ? workspace.strip : static_cast<float*>(g.c) + first;
  const int64_t ldc = to_bf16 ? width : g.c_row_stride;
  const T* a = static_cast<const T*>(g.a.data);
  const T* b = static_cast<const T*>(g.b.data) + first * g.b.column_stride;
  for (int64_t k = 0; k < g.depth; k += kPanelDepth) {
    const int64_t depth = smaller(kPanelDepth, g.depth - k);
    const bool add = k > 0 || g.output == GemmOutput::kAddFp32;
    pack_panels<Isa::kColumns>(b + k * g.b.row_stride, g.b.column_stride, g.b.row_stride, width,
                               depth, workspace.b);
    for (int64_t i = 0; i < g.rows; i += kBlockRows) {
      const int64_t rows = smaller(kBlockRows, g.rows - i);
      pack_panels<Isa::kRows>(a + i * g.a.row_stride + k * g.a.column_stride, g.a.row_stride,
                              g.a.column_stride, rows, depth, workspace.a);
      multiply_packed<Isa>(workspace.a, workspace.b, rows, width, depth, depth, c + i * ldc, ldc,
                           add);
    }
  }
  if (!to_bf16) return;
  for (int64_t i = 0; i < g.rows; ++i) {
    uint16_t* out = static_cast<uint16_t*>(g.c) + i * g.c_row_stride + first;
    for (int64_t j = 0; j < width; ++j) out[j] = rounded(c[i * ldc + j]);
  }
}

template <class Isa>
void multiply_block(const Gemm& g, float* workspace) {
  static_assert(kBlockRows % Isa::kRows == 0 && kStripColumns % Isa::kColumns == 0);
  const Workspace parts{workspace, workspace + kBlockRows * kPanelDepth,
                        workspace + (kBlockRows + kStripColumns) * kPanelDepth};
  for (int64_t j = 0; j < g.columns; j += kStripColumns) {
    const int64_t width = smaller(kStripColumns, g.columns - j);
    if (g.input == GemmInput::kFp32) {
      multiply_strip<Isa, float>(g, j, width, parts);
    } else {
      multiply_strip<Isa, uint16_t>(g, j, width, parts);
    }
  }
}

}  // namespace
}  // namespace phalanx::kernels
