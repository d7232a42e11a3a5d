// Training with fp8 products keeps to the losses of bf16, and does learn. On the CPU with the
// rounding of fp8 and products in fp32; on a GPU with cuBLAS (gpu_mesh).
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/ranks.h"
#include "tests/support/test_model.h"
#include "trainer/train_step.h"

namespace phalanx {
namespace {

/// Losses of some updates over one batch of 32 tokens. All sizes are multiples of 16, so every
/// product of a block takes part.
std::vector<double> losses(Precision precision, Fp8Scaling scaling = Fp8Scaling::kTensor) {
  std::vector<double> found;
  run_ranks(1, [&](Communicator& world) {
    const TestMesh mesh(world, 1);
    Phi4Config shape = test_shape();
    shape.intermediate_size = 80;
    shape.initializer_range = 0.1;
    RunConfig config = test_run_config(shape, 1, false, precision);
    config.fp8_scaling = scaling;
    Replica replica(config, mesh.context, {});
    const RopeTable rope(10000, 8, 16, at::kCPU);
    TrainStep step(replica.model(), replica.parameters(), replica.grads(), replica.optimizer(),
                   mesh.context, /*clip_grad_norm=*/1.0, /*num_sources=*/1, {});
    const Batch batch = test_batch(2, 16, shape.vocab_size, 4);
    for (int64_t n = 1; n <= 25; ++n) {
      found.push_back(step.run(batch, {rope, 2, /*learning_rate=*/3e-3, n}).loss);
    }
  });
  return found;
}

// One batch is learnt by heart, down to nothing; what may differ is measured by where that began.
class Fp8Training : public ::testing::TestWithParam<Fp8Scaling> {};

TEST_P(Fp8Training, LossesStayWithinTwoPercentOfTheFirstOfThoseInBf16WhileTheyFall) {
  const std::vector<double> bf16 = losses(Precision::kBf16);
  const std::vector<double> fp8 = losses(Precision::kFp8, GetParam());
  double difference = 0.0;
  for (size_t i = 0; i < bf16.size(); ++i) {
    EXPECT_LT(std::abs(fp8[i] - bf16[i]), 0.02 * bf16.front()) << "step " << i + 1;
    difference += std::abs(fp8[i] - bf16[i]);
  }
  EXPECT_GT(difference, 1e-3);               // fp8 was used
  EXPECT_LT(fp8.back(), 0.1 * fp8.front());  // it learns
}

INSTANTIATE_TEST_SUITE_P(Scalings, Fp8Training,
                         ::testing::Values(Fp8Scaling::kTensor, Fp8Scaling::kRows),
                         [](const auto& scaling) {
                           return scaling.param == Fp8Scaling::kRows ? "Rowwise" : "Tensorwise";
                         });

}  // namespace
}  // namespace phalanx
