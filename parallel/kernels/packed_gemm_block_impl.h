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

/// Panels of nearly equal depth, so that none is too short to be worth its tiles.
template <class Isa>
int64_t panel_depth(int64_t depth) {
  constexpr int64_t kDeepest = Isa::kGroup == 1 ? kPanelDepth : kPanelDepthBf16;
  const int64_t panels = (depth + kDeepest - 1) / kDeepest;
  return round_up((depth + panels - 1) / panels, 2);
}

/// Rows [i, i + rows) of the packed strip's columns.
template <class Isa, class T, class Out>
void multiply_rows(const Gemm& g, const GemmWorkspace& w, int64_t i, int64_t k,
                   const BlockSize& size, const TileOutput<Out>& c) {
  using Element = typename Isa::Element;
  auto* packed_a = reinterpret_cast<Element*>(w.a);
  const auto* packed_b = reinterpret_cast<const Element*>(w.b);
  const T* a = static_cast<const T*>(g.a.data) + i * g.a.row_stride + k * g.a.column_stride;
  pack_panels<Isa, Isa::kRows>(a, g.a.row_stride, g.a.column_stride, size.rows, size.depth,
                               packed_a);
  multiply_packed<Isa>(packed_a, packed_b, size, c.at(i, 0));
}

/// Columns [first, first + width) of the block.
template <class Isa, class T>
void multiply_strip(const Gemm& g, int64_t first, int64_t width, const GemmWorkspace& w) {
  const bool to_bf16 = g.output == GemmOutput::kBf16;
  const int64_t deepest = panel_depth<Isa>(g.depth);
  for (int64_t k = 0; k < g.depth; k += deepest) {
    const int64_t depth = smaller(deepest, g.depth - k);
    const T* b = static_cast<const T*>(g.b.data) + first * g.b.column_stride + k * g.b.row_stride;
    pack_panels<Isa, Isa::kColumns>(b, g.b.column_stride, g.b.row_stride, width, depth,
                                    reinterpret_cast<typename Isa::Element*>(w.b));
    const bool last = k + depth == g.depth;
    const bool add = k > 0 || g.output == GemmOutput::kAddFp32;
    float* sums = to_bf16 ? w.sums : static_cast<float*>(g.c) + first;
    const int64_t stride = to_bf16 ? w.strip_columns : g.c_row_stride;
    for (int64_t i = 0; i < g.rows; i += kBlockRows) {
      const BlockSize size{smaller(kBlockRows, g.rows - i), width, depth, depth};
      const float* partial = add ? sums : nullptr;
      if (to_bf16 && last) {
        uint16_t* out = static_cast<uint16_t*>(g.c) + first;
        multiply_rows<Isa, T, uint16_t>(g, w, i, k, size, {partial, stride, out, g.c_row_stride});
      } else {
        multiply_rows<Isa, T, float>(g, w, i, k, size, {partial, stride, sums, stride});
      }
    }
  }
}

template <class Isa, class T>
void multiply_block(const Gemm& g, const GemmWorkspace& workspace) {
  static_assert(kBlockRows % Isa::kRows == 0 && kTileColumns % Isa::kColumns == 0);
  for (int64_t j = 0; j < g.columns; j += workspace.strip_columns) {
    multiply_strip<Isa, T>(g, j, smaller(workspace.strip_columns, g.columns - j), workspace);
  }
}

/// For an Isa of fp32 elements: bf16 is widened as it is packed.
template <class Isa>
void multiply_block_widening(const Gemm& g, const GemmWorkspace& workspace) {
  if (g.input == GemmInput::kFp32) {
    multiply_block<Isa, float>(g, workspace);
  } else {
    multiply_block<Isa, uint16_t>(g, workspace);
  }
}

}  // namespace
}  // namespace phalanx::kernels
