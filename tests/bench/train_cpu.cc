// Times training steps of the design's CPU configuration (phi-3-class, hidden 512, 8 layers, 8/2
// heads, FFN 1792, vocabulary 8192, batch 4 x 512, AdamW with fp32 masters) and prints the best.
//   train_cpu fp32|bf16 THREADS STEPS
// One rank; tests/bench/train_cpu.py runs it in turn with its peers.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "parallel/thread_communicator.h"
#include "tests/support/test_model.h"
#include "trainer/grad_norm.h"

namespace phalanx {
namespace {

Phi4Config bench_shape() {
  Phi4Config shape;
  shape.vocab_size = 8192;
  shape.hidden_size = 512;
  shape.intermediate_size = 1792;
  shape.num_hidden_layers = 8;
  shape.num_attention_heads = 8;
  shape.num_key_value_heads = 2;
  shape.head_dim = 64;
  return shape;
}

double best_seconds(Precision precision, int64_t steps) {
  constexpr int64_t kRows = 4, kLength = 512;
  ThreadGroup group(1);
  const auto world = group.communicator(0);
  TestMesh mesh(*world, 1);
  RunConfig config = test_run_config(bench_shape(), 1, false, precision);
  config.loss_chunk_tokens = 1024;
  Replica replica(config, mesh.context, {});
  const RopeTable rope(10000, config.model.shape.head_dim, kLength, at::kCPU);
  const TokenBatch batch = test_tokens(kRows, kLength, config.model.shape.vocab_size, 7, rope);
  double best = 1e9;
  for (int64_t step = 1; step <= steps; ++step) {
    const auto start = std::chrono::steady_clock::now();
    replica.grads().begin_step(1);
    const at::Tensor loss_N = replica.model().loss(batch, &replica.grads());
    const auto& shares = replica.grads().finish();
    const double squares = local_sum_of_squares(shares, replica.parameters().buckets(), true);
    const ClippedGradient clipped = clip_gradient(squares, double(kRows * kLength), 1.0);
    replica.optimizer().update(shares, 3e-4, clipped.scale, step);
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    if (step == steps) {
      std::fprintf(stderr, "last loss %.4f\n", loss_N.mean().item<double>());
    }
  }
  return best / double(kRows * kLength);
}

}  // namespace
}  // namespace phalanx

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: train_cpu fp32|bf16 THREADS STEPS\n");
    return 2;
  }
  at::set_num_threads(std::atoi(argv[2]));
  mallopt(M_MMAP_THRESHOLD, 1 << 30);  // as `phalanx train` does
  mallopt(M_TRIM_THRESHOLD, INT32_MAX);
  const auto precision =
      std::string(argv[1]) == "bf16" ? phalanx::Precision::kBf16 : phalanx::Precision::kFp32;
  std::printf("%.1f\n", 1.0 / phalanx::best_seconds(precision, std::atoi(argv[3])));
  return 0;
}
