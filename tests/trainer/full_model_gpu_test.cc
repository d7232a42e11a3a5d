// phi-4 of 14.66e9 parameters trains in full on one GPU of 141 GB when weights, gradients, moments
// and masters are bf16.
#include <ATen/Context.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include "parallel/nccl_communicator.h"
#include "tests/support/ranks.h"
#include "tests/support/test_model.h"
#include "trainer/train_step.h"

namespace phalanx {
namespace {

constexpr int64_t kLength = 4096;
constexpr double kGpuBytes = 141e9, kNeededBytes = 130e9;

double free_gpu_bytes() {
  size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) return 0;
  return static_cast<double>(free);
}

double peak_reserved_bytes() {
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(0);
  return static_cast<double>(stats.reserved_bytes[0].peak);  // of all pools together
}

RunConfig all_in_bf16() {
  RunConfig config = test_run_config(Phi4Config{}, 1, false, Precision::kBf16);
  config.gradients = Precision::kBf16;
  config.optimizer.state = Precision::kBf16;
  config.optimizer.master = Precision::kBf16;
  config.recompute = Recompute::kFull;
  config.loss_chunk_tokens = 1024;
  return config;
}

TEST(FullModelOnGpu, FourteenBillionParametersTrainOn141Gigabytes) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU on this machine";
  if (free_gpu_bytes() < kNeededBytes) {
    GTEST_SKIP() << "needs " << kNeededBytes << " bytes of free GPU memory, found "
                 << free_gpu_bytes();
  }
  run_ranks(1, [](Communicator& control) {
    const auto nccl = make_nccl_communicator(control, 0, "world");
    const TestMesh mesh(control, 1, nccl.get(), at::Device(at::kCUDA, 0));
    const RunConfig config = all_in_bf16();
    Replica replica(config, mesh.context, {});
    TrainStep step(replica.model(), replica.parameters(), replica.grads(), replica.optimizer(),
                   mesh.context, /*clip_grad_norm=*/1.0, /*num_sources=*/1,
                   {/*document_mask=*/false, mesh.context.device});
    const RopeTable rope(250000, config.model.shape.head_dim, kLength, mesh.context.device);
    const Batch batch = test_batch(1, kLength, config.model.shape.vocab_size, 1);
    std::vector<double> losses;
    for (int64_t n = 1; n <= 4; ++n) {
      losses.push_back(step.run(batch, {rope, 1, /*learning_rate=*/1e-4, n}).loss);
    }
    EXPECT_NEAR(losses.front(), 12.5, 1.0);  // log 100352 and half the variance of the logits
    EXPECT_LT(losses.back(), losses.front() - 0.5);
    EXPECT_LT(peak_reserved_bytes(), kGpuBytes);
  });
}

}  // namespace
}  // namespace phalanx
