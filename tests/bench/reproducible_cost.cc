// What `reproducible`, the checks of numbers and the notes for the watchdog cost on the ranks it is
// launched with: steps of one model under each mode, in turn, in one process; the best of each
// counts.
//   [mpirun -n 2] reproducible_cost fp32|bf16 THREADS MICRO_BATCHES ROUNDS
// The model is that of train_cpu.cc; a micro-batch of a replica is a row of 512 tokens. Prints one
// line of JSON: seconds of a step by mode, the ratio to `off`, seconds of one round of hashes
// (StateCheck) with its share of 100 steps, and nanoseconds in which a collective is noted. On one
// rank of one thread seconds are those of the processor, which a busy machine does not lengthen;
// else those of the clock.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "parallel/flight_recorder.h"
#include "parallel/session.h"
#include "tests/bench/bench_shape.h"
#include "tests/support/test_model.h"
#include "trainer/host_heap.h"
#include "trainer/state_check.h"
#include "trainer/train_step.h"

namespace phalanx {
namespace {

constexpr int64_t kLength = 512;
constexpr int64_t kStepsBetweenChecks = 100;

RunConfig bench_config(Precision precision, Reproducible reproducible) {
  RunConfig config = test_run_config(bench_shape(), 1, false, precision);
  config.loss_chunk_tokens = 1024;
  config.reproducible = reproducible;
  return config;
}

/// Of the processor, or of the clock.
double seconds_now(bool of_processor) {
  timespec now{};
  clock_gettime(of_processor ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

/// A replica that trains under one mode.
class Mode {
 public:
  Mode(std::string name, Communicator& world, const RunConfig& config, int64_t micro_batches)
      : name_(std::move(name)),
        config_(config),
        mesh_(world, 1),
        replica_(config_, mesh_.context, {}),
        step_(replica_.model(), replica_.parameters(), replica_.grads(), replica_.optimizer(),
              mesh_.context, 1.0, /*num_sources=*/1, {}, /*cuda_graphs=*/false,
              config.reproducible == Reproducible::kDpInvariant ? Summation::kExact
                                                                : Summation::kInOrder),
        check_(replica_.parameters(), replica_.optimizer(), mesh_.context, 1),
        rope_(10000, config_.model.shape.head_dim, kLength, at::kCPU),
        batch_(test_batch(micro_batches, kLength, config_.model.shape.vocab_size,
                          7 + static_cast<uint64_t>(mesh_.mesh.dp_rank))) {}

  void step() {
    best_ = std::min(best_, timed([&] { step_.run(batch_, {rope_, 1, 3e-4, ++num_updates_}); }));
  }
  /// One round of hashes: after an update, and before the next.
  void check() {
    check_seconds_ = std::min(check_seconds_, timed([&] {
                                check_.after_update(1);
                                (void)check_.before_update(1, /*suspicious=*/false);
                              }));
  }
  const std::string& name() const { return name_; }
  double best() const { return best_; }
  double check_seconds() const { return check_seconds_; }

 private:
  /// From barrier to barrier.
  template <typename Work>
  double timed(const Work& work) {
    mesh_.context.control.barrier();
    const bool alone = mesh_.mesh.world_size() == 1 && at::get_num_threads() == 1;
    const double start = seconds_now(alone);
    work();
    mesh_.context.control.barrier();
    return seconds_now(alone) - start;
  }

  std::string name_;
  RunConfig config_;
  TestMesh mesh_;
  Replica replica_;
  TrainStep step_;
  StateCheck check_;
  RopeTable rope_;
  Batch batch_;
  int64_t num_updates_ = 0;
  double best_ = 1e9, check_seconds_ = 1e9;
};

/// Best of 20 rounds.
double nanoseconds_of_a_note() {
  constexpr int kNotes = 100'000;
  FlightRecorder recorder;
  const int group = recorder.add_group("bench", {0, 1});
  double best = 1e9;
  for (int round = 0; round < 20; ++round) {
    const double start = seconds_now(/*of_processor=*/true);
    for (int note = 0; note < kNotes; ++note) {
      recorder.begin(group, FlightOperation::kAllReduce, 4096);
      recorder.end();
    }
    best = std::min(best, (seconds_now(/*of_processor=*/true) - start) * 1e9 / kNotes);
  }
  return best;
}

nlohmann::json report(const std::vector<std::unique_ptr<Mode>>& modes) {
  const double off = modes[0]->best(), check = modes[0]->check_seconds();
  nlohmann::json line;
  for (const auto& mode : modes) {
    line["seconds"][mode->name()] = mode->best();
    line["ratio"][mode->name()] = mode->best() / off;
  }
  line["check_seconds"] = check;
  line["check_share"] = check / (off * double(kStepsBetweenChecks));
  line["note_nanoseconds"] = nanoseconds_of_a_note();
  return line;
}

std::optional<std::string> environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value ? std::optional<std::string>(value) : std::nullopt;
}

}  // namespace
}  // namespace phalanx

int main(int argc, char** argv) {
  using namespace phalanx;
  if (argc != 5) {
    std::fprintf(stderr, "usage: reproducible_cost fp32|bf16 THREADS MICRO_BATCHES ROUNDS\n");
    return 2;
  }
  keep_freed_tensors();  // as `phalanx train` does
  Session session(environment, {});
  at::set_num_threads(std::atoi(argv[2]));
  const Precision precision = std::string(argv[1]) == "bf16" ? Precision::kBf16 : Precision::kFp32;
  std::vector<std::unique_ptr<Mode>> modes;
  for (const auto& [name, mode] : {std::pair{"off", Reproducible::kOff},
                                   {"same_mesh", Reproducible::kSameMesh},
                                   {"dp_invariant", Reproducible::kDpInvariant}}) {
    modes.push_back(std::make_unique<Mode>(name, session.control(), bench_config(precision, mode),
                                           std::atoll(argv[3])));
  }
  for (int round = 0; round < std::atoi(argv[4]); ++round) {
    for (const auto& mode : modes) mode->step();
    modes[0]->check();
  }
  if (session.rank() == 0) std::printf("%s\n", report(modes).dump().c_str());
  return 0;
}
