// The packed product's loops for instruction sets that this machine may lack: the same source with
// 512-bit vectors, compiled for narrower ones, must give the bits of the 256-bit build; pairs of
// bf16 are multiplied in plain vector arithmetic.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "parallel/kernels/isa_bf16.h"
#include "parallel/kernels/isa_fp32.h"
#include "parallel/kernels/packed_gemm_block_impl.h"

namespace phalanx::kernels {
namespace {

template <class Isa>
at::Tensor product(const at::Tensor& a, const at::Tensor& b, at::ScalarType result) {
  const bool bf16 = a.scalar_type() == at::kBFloat16;
  at::Tensor c = at::ones({a.size(0), b.size(1)}, result);
  Gemm gemm{a.size(0),
            b.size(1),
            a.size(1),
            {a.const_data_ptr(), a.stride(0), a.stride(1)},
            {b.const_data_ptr(), b.stride(0), b.stride(1)}};
  gemm.input = bf16 ? GemmInput::kBf16 : GemmInput::kFp32;
  gemm.output = result == at::kBFloat16 ? GemmOutput::kBf16 : GemmOutput::kAddFp32;
  gemm.c = c.mutable_data_ptr();
  gemm.c_row_stride = c.size(1);
  const WorkspaceSize size = workspace_size(gemm, Isa::kGroup == 2);
  const at::Tensor floats = at::empty({size.total()}, at::kFloat);
  const GemmWorkspace workspace = workspace_at(floats.mutable_data_ptr<float>(), size);
  if constexpr (Isa::kGroup == 2) {
    multiply_block<Isa, uint16_t>(gemm, workspace);
  } else {
    multiply_block_widening<Isa>(gemm, workspace);
  }
  return c;
}

TEST(PackedGemm, WideAndNarrowVectorsGiveEqualBits) {
  if (packed_gemm_isa(GemmInput::kFp32) == PackedGemmIsa::kNone) GTEST_SKIP() << "needs AVX2";
  at::manual_seed(4);
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const int64_t n : {1, 12, 13, 47, 150, 1030}) {
      const at::Tensor a = at::randn({n, 800}).to(dtype), b = at::randn({800, n + 5}).to(dtype);
      EXPECT_TRUE(at::equal(product<IsaAvx2>(a, b, dtype), product<IsaAvx512>(a, b, dtype))) << n;
    }
  }
}

/// Every way in which an operand may lie, odd depths, and depths of one panel and of several.
TEST(PackedGemm, PairsOfBf16GiveTheSumsOfWidenedOnes) {
  if (packed_gemm_isa(GemmInput::kFp32) == PackedGemmIsa::kNone) GTEST_SKIP() << "needs AVX2";
  at::manual_seed(5);
  for (const int64_t depth : {1, 2, 7, 64, 511, 1301}) {
    for (const int64_t n : {1, 12, 45}) {
      const at::Tensor a = at::randn({n, depth}).to(at::kBFloat16);
      const at::Tensor b = at::randn({depth, n + 30}).to(at::kBFloat16);
      const at::Tensor sum = product<IsaAvx512>(a, b, at::kFloat);
      const double bound = 1e-6 * sum.abs().max().item<double>() * std::sqrt(double(depth));
      for (const at::Tensor& a_lies : {a, a.t().contiguous().t()}) {
        for (const at::Tensor& b_lies : {b, b.t().contiguous().t()}) {
          const at::Tensor found = product<IsaBf16Pairs<8, 6>>(a_lies, b_lies, at::kFloat);
          EXPECT_LE((found - sum).abs().max().item<double>(), bound) << n << " x " << depth;
          const at::Tensor wide = product<IsaBf16Pairs<16, 12>>(a_lies, b_lies, at::kFloat);
          EXPECT_TRUE(at::equal(wide, found)) << n << " x " << depth;
          EXPECT_TRUE(at::equal(product<IsaBf16Pairs<8, 6>>(a_lies, b_lies, at::kBFloat16),
                                (found - 1).to(at::kBFloat16)))
              << n << " x " << depth;
        }
      }
    }
  }
}

}  // namespace
}  // namespace phalanx::kernels
