#include "model/kernels/flash_backward_impl.h"
#include "model/kernels/flash_forward_impl.h"

namespace phalanx::kernels {

void flash_forward_avx2(const FlashRun& run, float* workspace) {
  run.bf16 ? flash_forward<IsaAvx2, uint16_t>(run, workspace)
           : flash_forward<IsaAvx2, float>(run, workspace);
}

void flash_backward_avx2(const FlashRun& run, float* workspace) {
  run.bf16 ? flash_backward<IsaAvx2, uint16_t>(run, workspace)
           : flash_backward<IsaAvx2, float>(run, workspace);
}

}  // namespace phalanx::kernels
