// Times training steps of phi-4-14B-shaped layers on one GPU (hidden 5120, 40/10 heads of 128, FFN
// 17920, vocabulary 100352, AdamW with fp32 masters) and prints one line of JSON:
//   train_gpu bf16|fp8 TOKENS LAYERS STEPS [--profile]
// TOKENS make one row and one micro-batch; LAYERS 0: as many as fit. One rank; train_gpu.py runs it
// beside its peers. --profile writes the kernels of one more step to stderr.
#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>
#include <c10/core/DeviceGuard.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <cuda_runtime.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "launch/cuda_settings.h"
#include "model/activation_bytes.h"
#include "parallel/thread_communicator.h"
#include "tests/bench/kernel_profile.h"
#include "tests/support/test_model.h"
#include "trainer/train_step.h"

namespace phalanx {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchOptions {
  Precision precision = Precision::kBf16;
  int64_t tokens = 4096, layers = 0, steps = 10;
  bool profile = false;
};

constexpr int64_t kBytesPerParameter = 2 + 4 + 3 * 4;  // weight, gradient, master and moments
constexpr double kUsableMemory = 0.92;                 // the rest: workspaces, pieces

Phi4Config shape_of(int64_t num_layers) {
  Phi4Config shape;
  shape.num_hidden_layers = num_layers;
  return shape;
}

/// Layers whose weights, optimizer state and activations fit beside the head's largest chunk.
int64_t layers_that_fit(int64_t tokens, int64_t loss_chunk_tokens) {
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  const Phi4Config one = shape_of(1), none = shape_of(0);
  const int64_t fixed = num_parameters(none) * kBytesPerParameter +
                        3 * loss_chunk_tokens * none.vocab_size * 2 +
                        8 * tokens * none.intermediate_size * 2;
  const int64_t layer =
      (num_parameters(one) - num_parameters(none)) * kBytesPerParameter +
      static_cast<int64_t>(activation_bytes_per_token(one, {}) * static_cast<double>(tokens));
  return std::max<int64_t>(1, (static_cast<int64_t>(kUsableMemory * double(free)) - fixed) / layer);
}

double seconds_of(const std::function<void()>& work) {
  c10::cuda::device_synchronize();
  const Clock::time_point start = Clock::now();
  work();
  c10::cuda::device_synchronize();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// FLOP/s of cuBLAS at the feed-forward's product: what this GPU gives at its best.
double gemm_rate(int64_t tokens) {
  const auto options = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
  const at::Tensor x = at::randn({tokens, 5120}, options), w = at::randn({35840, 5120}, options);
  double best = 1e9;
  for (int round = 0; round < 5; ++round) {
    best = std::min(best, seconds_of([&] {
                      for (int i = 0; i < 4; ++i) (void)at::mm(x, w.t());
                    }));
  }
  return 4 * 2.0 * double(tokens) * 5120 * 35840 / best;
}

/// Bytes by what they are for; activations and temporaries are what the peak holds besides.
nlohmann::json memory(Replica& replica) {
  double weights = 0, gradients = 0, optimizer = 0;
  for (const Bucket& bucket : replica.parameters().buckets()) {
    weights += double(bucket.weights.nbytes());
    gradients += double(bucket.grads.nbytes());
  }
  for (const BucketShare& share : replica.optimizer().shares()) {
    optimizer += double(share.master.nbytes() + share.exp_avg.nbytes() + share.exp_avg_sq.nbytes());
  }
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(0);
  const double peak = double(stats.allocated_bytes[0].peak);
  return {{"weights", weights},     {"gradients", gradients},
          {"optimizer", optimizer}, {"activations", peak - weights - gradients - optimizer},
          {"peak", peak},           {"reserved", double(stats.reserved_bytes[0].peak)}};
}

void print_profile(const std::vector<KernelTime>& kernels) {
  double total = 0;
  for (const KernelTime& kernel : kernels) total += kernel.milliseconds;
  std::fprintf(stderr, "%8s %6s %6s  kernel\n", "ms", "share", "calls");
  for (const KernelTime& kernel : kernels) {
    if (kernel.milliseconds < 0.002 * total) break;
    std::fputs(fmt::format("{:8.2f} {:5.1f}% {:6}  {:.90}\n", kernel.milliseconds,
                           100 * kernel.milliseconds / total, kernel.calls, kernel.name)
                   .c_str(),
               stderr);
  }
}

nlohmann::json run(BenchOptions options) {
  ThreadGroup group(1);
  const auto world = group.communicator(0);
  TestMesh mesh(*world, 1, nullptr, at::Device(at::kCUDA, 0));
  RunConfig config = test_run_config(shape_of(1), 1, false, options.precision);
  config.loss_chunk_tokens = 1024;
  if (options.layers == 0) {
    options.layers = layers_that_fit(options.tokens, config.loss_chunk_tokens);
  }
  config.model.shape = shape_of(options.layers);
  const double gemm = gemm_rate(options.tokens);
  Replica replica(config, mesh.context, {});
  const RopeTable rope(250000, config.model.shape.head_dim, options.tokens, mesh.context.device);
  const Batch batch = test_batch(1, options.tokens, config.model.shape.vocab_size, 7);
  TrainStep train_step(replica.model(), replica.parameters(), replica.grads(), replica.optimizer(),
                       mesh.context, /*clip_grad_norm=*/1.0, /*num_sources=*/1,
                       {/*document_mask=*/false, mesh.context.device});
  int64_t num_updates = 0;
  const auto step = [&] {
    (void)train_step.run(batch, {rope, 1, /*learning_rate=*/1e-4, ++num_updates});
  };
  step();
  step();
  const double seconds = seconds_of([&] {
    for (int64_t i = 0; i < options.steps; ++i) step();
  });
  if (options.profile) print_profile(kernel_profile([&] { seconds_of(step); }));
  const double tokens_per_second = double(options.tokens * options.steps) / seconds;
  const double flops = flops_per_token(config.model.shape, options.tokens);
  return {{"device", at::cuda::getCurrentDeviceProperties()->name},
          {"layers", options.layers},
          {"tokens", options.tokens},
          {"tokens_per_second", tokens_per_second},
          {"flops_per_token", flops},
          {"flops_per_second", tokens_per_second * flops},
          {"gemm_flops_per_second", gemm},
          {"memory", memory(replica)}};
}

}  // namespace
}  // namespace phalanx

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: train_gpu bf16|fp8 TOKENS LAYERS STEPS [--profile]\n");
    return 2;
  }
  if (c10::cuda::device_count() == 0) {
    std::fprintf(stderr, "train_gpu: expected a GPU, found none\n");
    return 2;
  }
  phalanx::prepare_cuda();
  const c10::DeviceGuard guard(at::Device(at::kCUDA, 0));
  const bool fp8 = std::string(argv[1]) == "fp8";
  const bool profile = argc > 5 && std::strcmp(argv[5], "--profile") == 0;
  const nlohmann::json result =
      phalanx::run({fp8 ? phalanx::Precision::kFp8 : phalanx::Precision::kBf16, std::atoll(argv[2]),
                    std::atoll(argv[3]), std::atoll(argv[4]), profile});
  std::printf("%s\n", result.dump().c_str());
  return 0;
}
