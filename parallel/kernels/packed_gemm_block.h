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

/// `workspace`: (kBlockRows + kStripColumns) * kPanelDepth floats, and rows * kStripColumns more
/// for a bf16 result of more than one panel.
void multiply_block_avx2(const Gemm& block, float* workspace);
void multiply_block_avx512(const Gemm& block, float* workspace);
/// bf16 inputs only.
void multiply_block_avx512_bf16(const Gemm& block, float* workspace);

}  // namespace phalanx::kernels
