// Stands in for the x86-64 files on other processors, where has_flash_attention() is false.
#include "model/kernels/flash_block.h"

namespace phalanx::kernels {

void flash_forward_avx2(const FlashRun&, float*) {}
void flash_forward_avx512(const FlashRun&, float*) {}
void flash_backward_avx2(const FlashRun&, float*) {}
void flash_backward_avx512(const FlashRun&, float*) {}
void flash_forward_avx512_bf16(const FlashRun&, float*) {}
void flash_backward_avx512_bf16(const FlashRun&, float*) {}

}  // namespace phalanx::kernels
