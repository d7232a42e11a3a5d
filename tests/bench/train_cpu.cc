// Times training steps of the design's CPU configuration (phi-3-class, hidden 512, 8 layers, 8/2
// heads, FFN 1792, vocabulary 8192, batch 4 x 512, AdamW with fp32 masters), on the ranks it is
// launched with.
//   [mpirun -n 2] train_cpu fp32|bf16 THREADS none|selective|lean [TENSOR_PARALLEL_SIZE]
// none, selective: what is recomputed; lean: selective, with Adam's moments in bf16.
// For each line on standard input, a number of steps, one line of JSON: the best step in seconds
// and the parts of one more step. tests/bench/train_cpu.py runs it in turn with its peers.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "parallel/session.h"
#include "tests/bench/bench_shape.h"
#include "tests/bench/scope_times.h"
#include "tests/support/test_model.h"
#include "trainer/grad_norm.h"
#include "trainer/host_heap.h"
#include "trainer/world_sums.h"

namespace phalanx {
namespace {

constexpr int64_t kRows = 4, kLength = 512;

RunConfig bench_config(Precision precision, const std::string& memory, int tensor_parallel_size) {
  RunConfig config = test_run_config(bench_shape(), tensor_parallel_size, false, precision);
  config.recompute = memory == "none" ? Recompute::kNone : Recompute::kSelective;
  if (memory == "lean") config.optimizer.state = Precision::kBf16;
  config.loss_chunk_tokens = 1024;
  return config;
}

std::optional<std::string> environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value ? std::optional<std::string>(value) : std::nullopt;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Bench {
 public:
  Bench(Session& session, const RunConfig& config)
      : config_(config),
        mesh_(session.control(), static_cast<int>(config.parallel.tensor_parallel_size)),
        replica_(config_, mesh_.context, {}),
        rope_(10000, config_.model.shape.head_dim, kLength, at::kCPU),
        batch_(test_tokens(kRows / mesh_.mesh.dp_size, kLength, config_.model.shape.vocab_size,
                           7 + static_cast<uint64_t>(mesh_.mesh.dp_rank), rope_)) {}

  /// Seconds from barrier to barrier.
  double step() {
    mesh_.context.control.barrier();
    const auto start = std::chrono::steady_clock::now();
    replica_.grads().begin_step(1);
    const at::Tensor loss_N = replica_.model().loss(batch_, &replica_.grads());
    const auto& shares = replica_.grads().finish();
    WorldSums squares(1, Summation::kInOrder);
    for (const std::vector<double>& blocks :
         block_squares(shares, replica_.parameters().buckets(), mesh_.mesh.tp_rank == 0)) {
      squares.add_all(0, blocks);
    }
    squares.reduce(mesh_.context.control);
    const ClippedGradient clipped = clip_gradient(squares[0], double(kRows * kLength), 1.0);
    replica_.optimizer().update(shares, 3e-4, clipped.scale, ++num_updates_);
    replica_.optimizer().gather_weights();
    mesh_.context.control.barrier();
    loss_ = loss_N.mean().item<double>();
    return seconds_since(start);
  }

  nlohmann::json run(int64_t steps) {
    double best = 1e9;
    for (int64_t i = 0; i < steps; ++i) best = std::min(best, step());
    const ScopeTimes times;
    const double watched = step();
    nlohmann::json parts(times.seconds());
    return {{"seconds", best}, {"watched", watched}, {"parts", parts}, {"loss", loss_}};
  }

 private:
  RunConfig config_;
  TestMesh mesh_;
  Replica replica_;
  RopeTable rope_;
  TokenBatch batch_;
  int64_t num_updates_ = 0;
  double loss_ = 0.0;
};

/// The next number of steps, read by rank 0; 0: the end.
int64_t next_steps(Communicator& control) {
  at::Tensor steps = at::zeros({1}, at::kLong);
  long long number = 0;
  if (control.rank() == 0 && std::scanf("%lld", &number) == 1) steps.fill_(int64_t{number});
  control.broadcast(steps, 0)->wait();
  return steps.item<int64_t>();
}

}  // namespace
}  // namespace phalanx

int main(int argc, char** argv) {
  using namespace phalanx;
  if (argc != 4 && argc != 5) {
    std::fprintf(stderr,
                 "usage: train_cpu fp32|bf16 THREADS none|selective|lean [TENSOR_PARALLEL_SIZE]\n");
    return 2;
  }
  map_tensors_one_by_one();  // as `phalanx train` does
  Session session(environment, {});
  at::set_num_threads(std::atoi(argv[2]));
  const Precision precision = std::string(argv[1]) == "bf16" ? Precision::kBf16 : Precision::kFp32;
  Bench bench(session, bench_config(precision, argv[3], argc == 5 ? std::atoi(argv[4]) : 1));
  keep_freed_tensors();
  while (const int64_t steps = next_steps(session.control())) {
    const nlohmann::json line = bench.run(steps);
    if (session.rank() == 0) std::printf("%s\n", line.dump().c_str());
    std::fflush(stdout);
  }
  return 0;
}
