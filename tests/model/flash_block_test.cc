// The attention's blocks for the vector width that this machine may lack: the same source with
// 512-bit vectors, compiled for narrower ones, against the 256-bit build.
#include <gtest/gtest.h>

#include <vector>

#include "model/kernels/flash_backward_impl.h"
#include "model/kernels/flash_forward_impl.h"
#include "parallel/kernels/packed_gemm.h"
#include "tests/model/random_tensor.h"

namespace phalanx::kernels {
namespace {

struct Result {
  at::Tensor o, logsumexp, dqkv;
};

/// Two query heads over one key-value head.
template <class Isa>
Result run_blocks(const at::Tensor& qkv, const at::Tensor& d_o, int64_t head_dim, int64_t window) {
  const int64_t length = qkv.size(0);
  Result r{at::empty_like(d_o), at::empty({2, length}), at::empty_like(qkv)};
  float* x = qkv.mutable_data_ptr<float>();
  float* dx = r.dqkv.mutable_data_ptr<float>();
  FlashRun run;
  run.length = length, run.head_dim = head_dim, run.num_query_heads = 2, run.window = window;
  run.scale = 0.3f, run.row_stride = 4 * head_dim, run.o_row_stride = 2 * head_dim;
  run.q = x, run.k = x + 2 * head_dim, run.v = x + 3 * head_dim;
  run.o = r.o.mutable_data_ptr(), run.d_o = d_o.const_data_ptr();
  run.logsumexp = r.logsumexp.mutable_data_ptr<float>(), run.logsumexp_head_stride = length;
  run.dq = dx, run.dk = dx + 2 * head_dim, run.dv = dx + 3 * head_dim;
  std::vector<float> workspace(static_cast<size_t>(flash_backward_floats(length, head_dim)));
  flash_forward<Isa, float>(run, workspace.data());
  flash_backward<Isa, float>(run, workspace.data());
  return r;
}

TEST(FlashBlocks, WideAndNarrowVectorsAgree) {
  if (packed_gemm_isa(GemmInput::kFp32) == PackedGemmIsa::kNone) GTEST_SKIP() << "needs AVX2";
  for (const int64_t length : {1, 47, 64, 200}) {
    for (const int64_t window : {0, 70}) {
      const int64_t head_dim = 24;
      const at::Tensor qkv = random_tensor({length, 4 * head_dim}, 1);
      const at::Tensor d_o = random_tensor({length, 2 * head_dim}, 2);
      const Result narrow = run_blocks<IsaAvx2>(qkv, d_o, head_dim, window);
      const Result wide = run_blocks<IsaAvx512>(qkv, d_o, head_dim, window);
      EXPECT_LT(relative_error(wide.o, narrow.o), 1e-6) << length;
      EXPECT_LT(relative_error(wide.logsumexp, narrow.logsumexp), 1e-6) << length;
      EXPECT_LT(relative_error(wide.dqkv, narrow.dqkv), 1e-6) << length;
    }
  }
}

/// e^x against the library's, in units of the last place.
TEST(VectorExp, IsWithinTwoUnitsOfTheLastPlace) {
  if (packed_gemm_isa(GemmInput::kFp32) == PackedGemmIsa::kNone) GTEST_SKIP() << "needs AVX2";
  for (float x = -86.9f; x < 88.0f; x += 0.0137f) {
    const float found = exp_vector<IsaAvx2>(x - IsaAvx2::Sum{})[3];
    const double exact = std::exp(double(x));
    EXPECT_LE(std::abs(found - exact), 2.0 * std::ldexp(exact, -23)) << x;
  }
  const float infinity = __builtin_inff();
  EXPECT_EQ(exp_vector<IsaAvx2>(-infinity - IsaAvx2::Sum{})[0], 0.0f);
  EXPECT_TRUE(std::isnan(exp_vector<IsaAvx2>(__builtin_nanf("") - IsaAvx2::Sum{})[0]));
}

}  // namespace
}  // namespace phalanx::kernels
