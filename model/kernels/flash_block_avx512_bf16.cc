#include "model/kernels/flash_backward_impl.h"
#include "model/kernels/flash_forward_impl.h"
#include "parallel/kernels/isa_bf16.h"

namespace phalanx::kernels {

void flash_forward_avx512_bf16(const FlashRun& run, float* workspace) {
  flash_forward<IsaAvx512Bf16, uint16_t>(run, workspace);
}

void flash_backward_avx512_bf16(const FlashRun& run, float* workspace) {
  flash_backward<IsaAvx512Bf16, uint16_t>(run, workspace);
}

}  // namespace phalanx::kernels
