#pragma once
// Packing into the panels of micro_kernel.h, and the product of a packed block with a packed strip:
// what the CPU's matrix products and its attention share. Included by one file for each instruction
// set, which gives the Isa; all is local to that file, so that no function compiled for a wide set
// is shared with code that must run without. Local, one thread, no state.
#include <cstdint>

#include "parallel/kernels/micro_kernel.h"
#include "parallel/kernels/pack_lanes_impl.h"

namespace phalanx::kernels {
namespace {

/// A panel whose lines are contiguous in depth, by blocks of 4 lines and 4 lanes.
template <class Isa, int kWidth, class T>
void pack_along_depth(const T* x, int64_t line_stride, int64_t depth, void* out) {
  using Pack = PackLanes<typename Isa::Element, T>;
  auto* lanes = static_cast<typename Pack::Lane*>(out);
  constexpr int64_t kBlock = 4, kBlockLines = kWidth / kBlock * kBlock;
  const int64_t groups = round_up(depth, Isa::kGroup) / Isa::kGroup;
  const int64_t whole = depth / Isa::kGroup / kBlock * kBlock;
  for (int64_t g = 0; g < whole; g += kBlock) {
    for (int64_t i = 0; i < kBlockLines; i += kBlock) {
      const T* from = x + i * line_stride + g * Isa::kGroup;
      const Lanes4 block[4] = {Pack::load4(from), Pack::load4(from + line_stride),
                               Pack::load4(from + 2 * line_stride),
                               Pack::load4(from + 3 * line_stride)};
      store_transposed(block, lanes + g * kWidth + i, kWidth);
    }
  }
  for (int64_t i = 0; i < kWidth; ++i) {
    for (int64_t g = i < kBlockLines ? whole : 0; g < groups; ++g) {
      const int64_t k = g * Isa::kGroup;
      lanes[g * kWidth + i] = Pack::lane(x + i * line_stride + k, 1, k + 1 == depth);
    }
  }
}

/// A panel of any strides; loops over lines become vector code where these are side by side.
template <class Isa, int kWidth, class T>
void pack_across_lines(const T* x, int64_t line_stride, int64_t depth_stride, int64_t lines,
                       int64_t depth, void* out) {
  using Pack = PackLanes<typename Isa::Element, T>;
  auto* lanes = static_cast<typename Pack::Lane*>(out);
  for (int64_t k = 0; k < depth; k += Isa::kGroup, lanes += kWidth) {
    const T* row = x + k * depth_stride;
    const bool alone = k + 1 == depth;
    if (lines == kWidth && line_stride == 1) {
      for (int64_t i = 0; i < kWidth; ++i) lanes[i] = Pack::lane(row + i, depth_stride, alone);
    } else {
      for (int64_t i = 0; i < lines; ++i) {
        lanes[i] = Pack::lane(row + i * line_stride, depth_stride, alone);
      }
      for (int64_t i = lines; i < kWidth; ++i) lanes[i] = {};
    }
  }
}

/// Packs `lines` x `depth` elements into panels of kWidth lines; element (line, k) lies at
/// x[line * line_stride + k * depth_stride]. Missing lines of the last panel, and the missing half
/// of a last pair, are zeros.
template <class Isa, int kWidth, class T>
void pack_panels(const T* x, int64_t line_stride, int64_t depth_stride, int64_t lines,
                 int64_t depth, typename Isa::Element* out) {
  const int64_t panel = kWidth * round_up(depth, Isa::kGroup);
  for (int64_t first = 0; first < lines; first += kWidth, out += panel) {
    const T* from = x + first * line_stride;
    const int64_t width = smaller(kWidth, lines - first);
    if (width == kWidth && depth_stride == 1 && line_stride != 1) {
      pack_along_depth<Isa, kWidth>(from, line_stride, depth, out);
    } else {
      pack_across_lines<Isa, kWidth>(from, line_stride, depth_stride, width, depth, out);
    }
  }
}

template <class Out>
void store_value(Out* out, float value) {
  if constexpr (sizeof(Out) == sizeof(float)) {
    *out = value;
  } else {
    *out = rounded(value);
  }
}

/// A tile at the edge of C goes by way of one of its own.
template <class Isa, class Out>
void multiply_edge(const typename Isa::Element* a, const typename Isa::Element* b, int64_t groups,
                   int64_t rows, int64_t columns, const TileOutput<Out>& c) {
  alignas(64) float edge[Isa::kRows * Isa::kColumns];
  multiply_panels<Isa, float>(a, b, groups, {nullptr, 0, edge, Isa::kColumns});
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      const float value = edge[i * Isa::kColumns + j];
      const float partial = c.partial ? c.partial[i * c.partial_stride + j] : 0.0f;
      store_value(c.out + i * c.out_stride + j, c.partial ? partial + value : value);
    }
  }
}

struct BlockSize {
  int64_t rows, columns, depth;
  int64_t strip_depth;  // of the packed strip, which may be deeper than what is multiplied
};

/// A packed block times a packed strip.
template <class Isa, class Out>
void multiply_packed(const typename Isa::Element* a, const typename Isa::Element* b,
                     const BlockSize& size, const TileOutput<Out>& c) {
  const int64_t depth = round_up(size.depth, Isa::kGroup), groups = depth / Isa::kGroup;
  const int64_t strip_panel = Isa::kColumns * round_up(size.strip_depth, Isa::kGroup);
  for (int64_t j = 0; j < size.columns; j += Isa::kColumns, b += strip_panel) {
    for (int64_t i = 0; i < size.rows; i += Isa::kRows) {
      if (size.rows - i >= Isa::kRows && size.columns - j >= Isa::kColumns) {
        multiply_panels<Isa, Out>(a + i * depth, b, groups, c.at(i, j));
      } else {
        multiply_edge<Isa>(a + i * depth, b, groups, smaller(Isa::kRows, size.rows - i),
                           smaller(Isa::kColumns, size.columns - j), c.at(i, j));
      }
    }
  }
}

}  // namespace
}  // namespace phalanx::kernels
