// The packed product's loops for the vector width that this machine may lack: the same source with
// 512-bit vectors, compiled for narrower ones, must give the bits of the 256-bit build.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "parallel/kernels/isa_fp32.h"
#include "parallel/kernels/packed_gemm_block_impl.h"

namespace phalanx::kernels {
namespace {

template <class Isa>
at::Tensor product(const at::Tensor& a, const at::Tensor& b, bool bf16) {
  at::Tensor c = at::ones({a.size(0), b.size(1)}, bf16 ? at::kBFloat16 : at::kFloat);
  Gemm gemm{a.size(0),
            b.size(1),
            a.size(1),
            {a.const_data_ptr(), a.size(1), 1},
            {b.const_data_ptr(), b.size(1), 1}};
  gemm.input = bf16 ? GemmInput::kBf16 : GemmInput::kFp32;
  gemm.output = bf16 ? GemmOutput::kBf16 : GemmOutput::kAddFp32;
  gemm.c = c.mutable_data_ptr();
  gemm.c_row_stride = c.size(1);
  const int64_t floats = (kBlockRows + kStripColumns) * kPanelDepth + c.size(0) * kStripColumns;
  const at::Tensor workspace = at::empty({floats}, at::kFloat);
  multiply_block<Isa>(gemm, workspace.mutable_data_ptr<float>());
  return c;
}

TEST(PackedGemm, WideAndNarrowVectorsGiveEqualBits) {
  if (packed_gemm_isa() == PackedGemmIsa::kNone) GTEST_SKIP() << "needs AVX2";
  at::manual_seed(4);
  for (const bool bf16 : {false, true}) {
    for (const int64_t n : {1, 12, 13, 47, 150, 1030}) {
      const auto dtype = bf16 ? at::kBFloat16 : at::kFloat;
      const at::Tensor a = at::randn({n, 800}).to(dtype), b = at::randn({800, n + 5}).to(dtype);
      EXPECT_TRUE(at::equal(product<IsaAvx2>(a, b, bf16), product<IsaAvx512>(a, b, bf16))) << n;
    }
  }
}

}  // namespace
}  // namespace phalanx::kernels
