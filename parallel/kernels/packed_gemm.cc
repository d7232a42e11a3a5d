#include "parallel/kernels/packed_gemm.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>

#include "parallel/kernels/packed_gemm_block.h"

namespace phalanx::kernels {
namespace {

/// How the threads share C: grid.rows x grid.columns blocks of whole tiles.
struct Grid {
  int64_t rows = 1, columns = 1;
  int64_t block_rows = 0, block_columns = 0;
};

int64_t share(int64_t total, int64_t parts, int64_t unit) {
  const int64_t units = (total + unit - 1) / unit;
  return (units + parts - 1) / parts * unit;
}

/// A block of r x s packs r + s lines for r * s sums, so the squarest grid packs least.
Grid make_grid(int64_t rows, int64_t columns, int64_t threads) {
  Grid best;
  int64_t least = -1;
  for (int64_t r = 1; r <= threads; ++r) {
    if (threads % r != 0) continue;
    Grid grid{r, threads / r, share(rows, r, kTileRows), share(columns, threads / r, kTileColumns)};
    const int64_t work = grid.block_rows * grid.block_columns * 64 +
                         (grid.block_rows + grid.block_columns) * kPanelDepth;
    if (least < 0 || work < least) least = work, best = grid;
  }
  return best;
}

const void* advance(const GemmOperand& operand, GemmInput input, int64_t elements) {
  const int64_t bytes = input == GemmInput::kFp32 ? 4 : 2;
  return static_cast<const char*>(operand.data) + elements * bytes;
}

Gemm block_of(const Gemm& g, const Grid& grid, int64_t index) {
  const int64_t i = index / grid.columns * grid.block_rows;
  const int64_t j = index % grid.columns * grid.block_columns;
  Gemm block = g;
  block.rows = std::clamp<int64_t>(g.rows - i, 0, grid.block_rows);
  block.columns = std::clamp<int64_t>(g.columns - j, 0, grid.block_columns);
  if (block.rows == 0 || block.columns == 0) return block;
  block.a.data = advance(g.a, g.input, i * g.a.row_stride);
  block.b.data = advance(g.b, g.input, j * g.b.column_stride);
  const int64_t c_bytes = g.output == GemmOutput::kBf16 ? 2 : 4;
  block.c = static_cast<char*>(g.c) + (i * g.c_row_stride + j) * c_bytes;
  return block;
}

void fill_zero(const Gemm& g) {
  if (g.output == GemmOutput::kAddFp32) return;
  const size_t bytes = static_cast<size_t>(g.columns) * (g.output == GemmOutput::kBf16 ? 2 : 4);
  for (int64_t i = 0; i < g.rows; ++i) {
    const size_t row =
        static_cast<size_t>(i * g.c_row_stride) * (g.output == GemmOutput::kBf16 ? 2 : 4);
    std::memset(static_cast<char*>(g.c) + row, 0, bytes);
  }
}

int64_t whole(int64_t size, int64_t unit) { return (size + unit - 1) / unit * unit; }

}  // namespace

WorkspaceSize workspace_size(const Gemm& block, bool pairs) {
  constexpr int64_t kCacheLine = 16;  // floats
  const int64_t deepest = pairs ? kPanelDepthBf16 : kPanelDepth;
  const int64_t depth = std::min(deepest, whole(block.depth, 2)) / (pairs ? 2 : 1);
  WorkspaceSize size{};
  size.strip_columns = std::min(kStripColumns, whole(block.columns, kTileColumns));
  size.a = whole(std::min(kBlockRows, whole(block.rows, kTileRows)) * depth, kCacheLine);
  size.b = whole(size.strip_columns * depth, kCacheLine);
  const bool sums = block.output == GemmOutput::kBf16 && block.depth > deepest;
  size.sums = sums ? whole(block.rows * size.strip_columns, kCacheLine) : 0;
  return size;
}

GemmWorkspace workspace_at(float* base, const WorkspaceSize& size) {
  return {base, base + size.a, base + size.a + size.b, size.strip_columns};
}

void packed_gemm(const Gemm& gemm, PackedGemmIsa isa) {
  if (gemm.rows == 0 || gemm.columns == 0) return;
  if (gemm.depth == 0) return fill_zero(gemm);
  const auto multiply = isa == PackedGemmIsa::kAvx512Bf16 ? multiply_block_avx512_bf16
                        : isa == PackedGemmIsa::kAvx512   ? multiply_block_avx512
                                                          : multiply_block_avx2;
  const Grid grid = make_grid(gemm.rows, gemm.columns, at::get_num_threads());
  const int64_t num_blocks = grid.rows * grid.columns;
  const WorkspaceSize size =
      workspace_size(block_of(gemm, grid, 0), isa == PackedGemmIsa::kAvx512Bf16);
  const at::Tensor workspace = at::empty({num_blocks, size.total()}, at::kFloat);
  float* begin = workspace.mutable_data_ptr<float>();
  at::parallel_for(0, num_blocks, 1, [&](int64_t first, int64_t last) {
    for (int64_t index = first; index < last; ++index) {
      const Gemm block = block_of(gemm, grid, index);
      if (block.rows == 0 || block.columns == 0) continue;
      multiply(block, workspace_at(begin + index * size.total(), size));
    }
  });
}

}  // namespace phalanx::kernels
