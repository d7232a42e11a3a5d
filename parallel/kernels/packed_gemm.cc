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

// A multiple of every set's tile, so that where blocks meet does not depend on the set.
constexpr int64_t kTileRows = 12, kTileColumns = 32;

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

int64_t workspace_floats(const Grid& grid, GemmOutput output) {
  const int64_t strip = output == GemmOutput::kBf16 ? grid.block_rows * kStripColumns : 0;
  return (kBlockRows + kStripColumns) * kPanelDepth + strip;
}

}  // namespace

void packed_gemm(const Gemm& gemm, PackedGemmIsa isa) {
  if (gemm.rows == 0 || gemm.columns == 0) return;
  if (gemm.depth == 0) return fill_zero(gemm);
  const auto multiply = isa == PackedGemmIsa::kAvx512Bf16 ? multiply_block_avx512_bf16
                        : isa == PackedGemmIsa::kAvx512   ? multiply_block_avx512
                                                          : multiply_block_avx2;
  const Grid grid = make_grid(gemm.rows, gemm.columns, at::get_num_threads());
  const int64_t num_blocks = grid.rows * grid.columns;
  const int64_t floats = workspace_floats(grid, gemm.output);
  const at::Tensor workspace = at::empty({num_blocks, floats}, at::kFloat);
  float* begin = workspace.mutable_data_ptr<float>();
  at::parallel_for(0, num_blocks, 1, [&](int64_t first, int64_t last) {
    for (int64_t index = first; index < last; ++index) {
      const Gemm block = block_of(gemm, grid, index);
      if (block.rows > 0 && block.columns > 0) multiply(block, begin + index * floats);
    }
  });
}

}  // namespace phalanx::kernels
