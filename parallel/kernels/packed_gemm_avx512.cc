#include "parallel/kernels/isa_fp32.h"
#include "parallel/kernels/packed_gemm_block_impl.h"

namespace phalanx::kernels {

void multiply_block_avx512(const Gemm& block, const GemmWorkspace& workspace) {
  multiply_block_widening<IsaAvx512>(block, workspace);
}

}  // namespace phalanx::kernels
