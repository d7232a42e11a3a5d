// Which instruction sets this x86-64 processor has.
#include "parallel/kernels/packed_gemm.h"

namespace phalanx::kernels {

PackedGemmIsa packed_gemm_isa() {
  if (__builtin_cpu_supports("avx512f")) return PackedGemmIsa::kAvx512;
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return avx2 ? PackedGemmIsa::kAvx2 : PackedGemmIsa::kNone;
}

bool processor_multiplies_bf16() { return __builtin_cpu_supports("avx512bf16"); }

}  // namespace phalanx::kernels
