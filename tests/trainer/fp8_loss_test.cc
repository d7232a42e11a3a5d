// Training with fp8 products keeps to the losses of bf16, and does learn. On the CPU with the
// rounding of fp8 and products in fp32; on a GPU with cuBLAS (gpu_mesh).
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/ranks.h"
#include "tests/support/test_model.h"
#include "trainer/grad_norm.h"

namespace phalanx {
namespace {

/// Losses of some updates over one batch of 32 tokens. All sizes are multiples of 16, so every
/// product of a block takes part.
std::vector<double> losses(Precision precision) {
  std::vector<double> found;
  run_ranks(1, [&](Communicator& world) {
    const TestMesh mesh(world, 1);
    Phi4Config shape = test_shape();
    shape.intermediate_size = 80;
    shape.initializer_range = 0.1;
    Replica replica(test_run_config(shape, 1, false, precision), mesh.context, {});
    const RopeTable rope(10000, 8, 16, at::kCPU);
    const TokenBatch batch = test_tokens(2, 16, shape.vocab_size, 4, rope);
    for (int64_t step = 1; step <= 25; ++step) {
      replica.grads().begin_step(1);
      found.push_back(replica.model().loss(batch, &replica.grads()).mean().item<double>());
      const auto& shares = replica.grads().finish();
      const double squares = local_sum_of_squares(shares, replica.parameters().buckets(), true);
      const ClippedGradient clipped = clip_gradient(squares, 32, 1.0);
      replica.optimizer().update(shares, 3e-3, clipped.scale, step);
      replica.optimizer().gather_weights();
    }
  });
  return found;
}

// One batch is learnt by heart, down to nothing; what may differ is measured by where that began.
TEST(Fp8Training, LossesStayWithinTwoPercentOfTheFirstOfThoseInBf16WhileTheyFall) {
  const std::vector<double> bf16 = losses(Precision::kBf16), fp8 = losses(Precision::kFp8);
  double difference = 0.0;
  for (size_t i = 0; i < bf16.size(); ++i) {
    EXPECT_LT(std::abs(fp8[i] - bf16[i]), 0.02 * bf16.front()) << "step " << i + 1;
    difference += std::abs(fp8[i] - bf16[i]);
  }
  EXPECT_GT(difference, 1e-3);               // fp8 was used
  EXPECT_LT(fp8.back(), 0.1 * fp8.front());  // it learns
}

}  // namespace
}  // namespace phalanx
