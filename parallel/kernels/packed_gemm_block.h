#pragma once
// One thread's part of a packed product, for one instruction set. Defined by
// packed_gemm_block_impl.h in a file a set, since each is compiled with its own flags.
#include <cstdint>

#include "parallel/kernels/packed_gemm.h"

namespace phalanx::kernels {

/// The deepest packed panel, of fp32 and of bf16 elements: the same for all instruction sets, since
/// it decides how sums are cut.
inline constexpr int64_t kPanelDepth = 384, kPanelDepthBf16 = 512;
/// Columns of B, and rows of A, that are packed at one time.
inline constexpr int64_t kStripColumns = 1024;
inline constexpr int64_t kBlockRows = 144;
/// A multiple of every set's tile, so that where blocks meet does not depend on the set.
inline constexpr int64_t kTileRows = 12, kTileColumns = 32;

/// Floats that a block needs to pack and to sum in, no more than its own sizes ask for: what every
/// product takes and frees leaves holes in the heap between what a step keeps.
struct WorkspaceSize {
  int64_t a, b;           // packed rows of A and columns of B, one panel deep
  int64_t sums;           // of a bf16 result of more than one panel
  int64_t strip_columns;  // packed and summed at one time
  int64_t total() const { return a + b + sums; }
};

/// `pairs`: for multiply_block_avx512_bf16, whose elements are bf16.
[[nodiscard]] WorkspaceSize workspace_size(const Gemm& block, bool pairs);

struct GemmWorkspace {
  float *a, *b, *sums;
  int64_t strip_columns;
};

/// The parts of `base`, of size.total() floats.
[[nodiscard]] GemmWorkspace workspace_at(float* base, const WorkspaceSize& size);

void multiply_block_avx2(const Gemm& block, const GemmWorkspace& workspace);
void multiply_block_avx512(const Gemm& block, const GemmWorkspace& workspace);
/// bf16 inputs only.
void multiply_block_avx512_bf16(const Gemm& block, const GemmWorkspace& workspace);

}  // namespace phalanx::kernels
