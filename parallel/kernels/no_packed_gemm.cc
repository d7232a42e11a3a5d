// Stands in for the x86-64 files on other processors: LibTorch's products are taken.
#include "parallel/kernels/packed_gemm_block.h"

namespace phalanx::kernels {

PackedGemmIsa packed_gemm_isa(GemmInput) { return PackedGemmIsa::kNone; }

// Never called: see the precondition of packed_gemm().
void multiply_block_avx2(const Gemm&, const GemmWorkspace&) {}
void multiply_block_avx512(const Gemm&, const GemmWorkspace&) {}
void multiply_block_avx512_bf16(const Gemm&, const GemmWorkspace&) {}

}  // namespace phalanx::kernels
