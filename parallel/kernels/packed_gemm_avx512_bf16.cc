#include "parallel/kernels/isa_bf16.h"
#include "parallel/kernels/packed_gemm_block_impl.h"

namespace phalanx::kernels {

void multiply_block_avx512_bf16(const Gemm& block, const GemmWorkspace& workspace) {
  multiply_block<IsaAvx512Bf16, uint16_t>(block, workspace);
}

}  // namespace phalanx::kernels
