// Products of linear layers on a GPU. Skipped, and counted as skipped, without one.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "parallel/gemm.h"
#include "tests/model/random_tensor.h"
#include "tests/support/test_device.h"

namespace phalanx {
namespace {

class GpuGemm : public OnTestDevice {};

TEST_F(GpuGemm, WeightGradientsOfBf16AreAddedInFp32WithoutRoundingBetween) {
  const at::Tensor dy = random_tensor({96, 40}, 1).to(test_device(), at::kBFloat16);
  const at::Tensor x = random_tensor({96, 64}, 2).to(test_device(), at::kBFloat16);
  const at::Tensor bucket = random_tensor({2 * 40 * 64}, 3).to(test_device());
  const at::Tensor before = bucket.clone();
  const at::Tensor dweight = bucket.narrow(0, 40 * 64, 40 * 64).view({40, 64});
  linear_backward_weight(dweight, dy, x);
  const at::Tensor expected = before.narrow(0, 40 * 64, 40 * 64).view({40, 64}).to(at::kDouble) +
                              at::mm(dy.to(at::kDouble).t(), x.to(at::kDouble));
  EXPECT_LT(relative_error(dweight.cpu(), expected.cpu()), 1e-6);
  EXPECT_TRUE(at::equal(bucket.narrow(0, 0, 40 * 64), before.narrow(0, 0, 40 * 64)));
}

}  // namespace
}  // namespace phalanx
