#pragma once
// C = A B or C += A B on the CPU, fp32 or bf16 in, sums in fp32, by packed panels (micro_kernel.h).
// Operands are strided either way, so the three products of a linear layer need no transposed copy;
// without AVX512-BF16 bf16 is widened while it is packed; a bf16 result is rounded once.
// Local. Threads: those of at::parallel_for; a block of C is one thread's, and the sum over k runs
// in the same order for any number of them, so the bits do not depend on it. Memory: one workspace
// a call from LibTorch's allocator, which a training process's heap keeps.
#include <cstdint>

namespace phalanx::kernels {

/// Element (i, k) lies at data[i * row_stride + k * column_stride]; one of the strides is 1.
struct GemmOperand {
  const void* data = nullptr;
  int64_t row_stride = 0, column_stride = 0;
};

enum class GemmInput { kFp32, kBf16 };
/// kBf16: rounded to nearest even. kAddFp32: added to what is there.
enum class GemmOutput { kFp32, kAddFp32, kBf16 };

struct Gemm {
  int64_t rows = 0, columns = 0, depth = 0;  // C [rows, columns], A [rows, depth]
  GemmOperand a, b;                          // b: [depth, columns]
  GemmInput input = GemmInput::kFp32;
  GemmOutput output = GemmOutput::kFp32;
  void* c = nullptr;
  int64_t c_row_stride = 0;  // columns of C are contiguous
};

/// kAvx512Bf16 multiplies pairs of bf16 as they are; the others widen them.
enum class PackedGemmIsa { kNone, kAvx2, kAvx512, kAvx512Bf16 };

/// The fastest that this processor has for such inputs; kNone: there is no packed product here.
PackedGemmIsa packed_gemm_isa(GemmInput input);

/// Precondition: the processor has `isa`, which is not kNone; kAvx512Bf16: the input is bf16.
void packed_gemm(const Gemm& gemm, PackedGemmIsa isa);

}  // namespace phalanx::kernels
