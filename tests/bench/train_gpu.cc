// Times training steps of phi-4-14B-shaped layers on one GPU (hidden 5120, 40/10 heads of 128, FFN
// 17920, vocabulary 100352, AdamW with fp32 masters) and prints one line of JSON:
//   train_gpu bf16|fp8|fp8-rowwise TOKENS LAYERS STEPS [graphs] [selective|full] [profile]
// TOKENS make one row and one micro-batch; LAYERS 0: as many as fit by `phalanx plan`. One rank;
// train_gpu.py runs it beside its peers. `profile` adds the kernels of one more step.
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
#include <nlohmann/json.hpp>
#include <string>

#include "launch/cuda_settings.h"
#include "parallel/thread_communicator.h"
#include "tests/bench/kernel_profile.h"
#include "tests/support/test_model.h"
#include "trainer/planner/memory_plan.h"
#include "trainer/train_step.h"

namespace phalanx {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchOptions {
  Precision precision = Precision::kBf16;
  Fp8Scaling scaling = Fp8Scaling::kTensor;
  Recompute recompute = Recompute::kNone;
  int64_t tokens = 4096, layers = 0, steps = 10;
  bool graphs = false, profile = false;
};

constexpr double kUsableMemory = 0.92;  // of what is free; the rest: workspaces, pieces

RunConfig config_of(const BenchOptions& options, int64_t layers) {
  Phi4Config shape;
  shape.num_hidden_layers = layers;
  RunConfig config = test_run_config(shape, 1, false, options.precision);
  config.fp8_scaling = options.scaling;
  config.recompute = options.recompute;
  config.loss_chunk_tokens = 1024;
  config.parallel.device = DeviceKind::kCuda;
  StageConfig stage;
  stage.sequence_length = options.tokens;
  stage.phases.resize(1);
  stage.phases[0].tokens = options.tokens;
  config.stages = {stage};
  return config;
}

int64_t planned_bytes(const BenchOptions& options, int64_t layers) {
  return plan_memory(plan_input(config_of(options, layers), 1), Accelerator{}).tensors();
}

int64_t layers_that_fit(const BenchOptions& options) {
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  int64_t layers = 1;
  while (double(planned_bytes(options, layers + 1)) < kUsableMemory * double(free)) ++layers;
  return layers;
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

/// Down to 0.2 % of the step.
nlohmann::json profile_of(const std::vector<KernelTime>& kernels) {
  double total = 0;
  for (const KernelTime& kernel : kernels) total += kernel.milliseconds;
  nlohmann::json lines = nlohmann::json::array();
  for (const KernelTime& kernel : kernels) {
    if (kernel.milliseconds < 0.002 * total) break;
    lines.push_back({{"milliseconds", kernel.milliseconds},
                     {"share", kernel.milliseconds / total},
                     {"calls", kernel.calls},
                     {"name", kernel.name}});
  }
  return lines;
}

nlohmann::json run(BenchOptions options) {
  ThreadGroup group(1);
  const auto world = group.communicator(0);
  TestMesh mesh(*world, 1, nullptr, at::Device(at::kCUDA, 0));
  if (options.layers == 0) options.layers = layers_that_fit(options);
  const RunConfig config = config_of(options, options.layers);
  const double gemm = gemm_rate(options.tokens);
  Replica replica(config, mesh.context, {});
  const RopeTable rope(250000, config.model.shape.head_dim, options.tokens, mesh.context.device);
  const Batch batch = test_batch(1, options.tokens, config.model.shape.vocab_size, 7);
  TrainStep train_step(replica.model(), replica.parameters(), replica.grads(), replica.optimizer(),
                       mesh.context, /*clip_grad_norm=*/1.0, /*num_sources=*/1,
                       {/*document_mask=*/false, mesh.context.device}, options.graphs);
  int64_t num_updates = 0;
  const auto step = [&] {
    (void)train_step.run(batch, {rope, 1, /*learning_rate=*/1e-4, ++num_updates});
  };
  step();
  step();
  const double seconds = seconds_of([&] {
    for (int64_t i = 0; i < options.steps; ++i) step();
  });
  nlohmann::json held = memory(replica);
  held["planned"] = double(planned_bytes(options, options.layers));
  nlohmann::json profile;
  if (options.profile) profile = profile_of(kernel_profile([&] { seconds_of(step); }));
  const double tokens_per_second = double(options.tokens * options.steps) / seconds;
  const double flops = flops_per_token(config.model.shape, options.tokens);
  return {{"device", at::cuda::getCurrentDeviceProperties()->name},
          {"layers", options.layers},
          {"tokens", options.tokens},
          {"tokens_per_second", tokens_per_second},
          {"flops_per_token", flops},
          {"flops_per_second", tokens_per_second * flops},
          {"gemm_flops_per_second", gemm},
          {"memory", held},
          {"profile", profile}};
}

BenchOptions options_of(int argc, char** argv) {
  BenchOptions options;
  const std::string precision = argv[1];
  if (precision != "bf16") options.precision = Precision::kFp8;
  if (precision == "fp8-rowwise") options.scaling = Fp8Scaling::kRows;
  options.tokens = std::atoll(argv[2]);
  options.layers = std::atoll(argv[3]);
  options.steps = std::atoll(argv[4]);
  for (int i = 5; i < argc; ++i) {
    const std::string word = argv[i];
    options.graphs |= word == "graphs";
    options.profile |= word == "profile";
    if (word == "selective") options.recompute = Recompute::kSelective;
    if (word == "full") options.recompute = Recompute::kFull;
  }
  return options;
}

}  // namespace
}  // namespace phalanx

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr,
                 "usage: train_gpu bf16|fp8|fp8-rowwise TOKENS LAYERS STEPS [graphs] "
                 "[selective|full] [profile]\n");
    return 2;
  }
  if (c10::cuda::device_count() == 0) {
    std::fprintf(stderr, "train_gpu: expected a GPU, found none\n");
    return 2;
  }
  phalanx::prepare_cuda(/*same_bits=*/false);
  const c10::DeviceGuard guard(at::Device(at::kCUDA, 0));
  const nlohmann::json result = phalanx::run(phalanx::options_of(argc, argv));
  std::printf("%s\n", result.dump().c_str());
  return 0;
}
