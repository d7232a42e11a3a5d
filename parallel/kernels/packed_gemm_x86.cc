// Which instruction sets this x86-64 processor has.
#include "parallel/kernels/packed_gemm.h"

namespace phalanx::kernels {

PackedGemmIsa packed_gemm_isa(GemmInput input) {
  const bool avx512 = __builtin_cpu_supports("avx512f");
  if (input == GemmInput::kBf16 && avx512 && __builtin_cpu_supports("avx512bf16")) {
    return PackedGemmIsa::kAvx512Bf16;
  }
  if (avx512) return PackedGemmIsa::kAvx512;
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return avx2 ? PackedGemmIsa::kAvx2 : PackedGemmIsa::kNone;
}

}  // namespace phalanx::kernels
