// Prints how long a plan of 36,000 blocks and 50 sources takes and a jump in it, and the same from
// real manifests with sparse shards. Not a test: times depend on the machine. Build target
// mixture_bench.
#include <fmt/format.h>
#include <stdlib.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <optional>

#include "data/mixture/plan_report.h"
#include "tests/data/mixture/big_run.h"

namespace {

using namespace phalanx;
using namespace phalanx::testing;

/// Of the clock and of the processor, which on a busy machine tell more together.
struct Time {
  double wall_ms, cpu_ms;
};

template <typename Work>
Time measure(Work work) {
  const auto begin = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();
  work();
  const std::chrono::duration<double, std::milli> wall = std::chrono::steady_clock::now() - begin;
  return {wall.count(), 1e3 * static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC};
}

std::string text(const Time& time) {
  return fmt::format("{:.1f} ms ({:.1f} of a core)", time.wall_ms, time.cpu_ms);
}

TestRun big_setup() {
  TestRun setup;
  Dice dice(1);
  setup.stages.resize(1);
  setup.stages[0].sequence_length = 4096;
  setup.stages[0].global_batch_size = 4096;
  for (int64_t k = 0; k < 50; ++k) {
    const std::string name = "s" + std::to_string(100 + k);
    setup.data.sources.push_back({name, "", SourceKind::kOrganic, 1000.0});
    setup.sources.push_back({name, "", {dice.between(100'000'000, 2'000'000'000)}});
  }
  for (int p = 0; p < 4; ++p) {
    PhaseConfig phase;
    phase.tokens = 9000LL * 65536 * 4096;
    phase.mix = random_mix(dice, 50);
    setup.stages[0].phases.push_back(phase);
  }
  return setup;
}

void bench_plan() {
  const TestRun setup = big_setup();
  const Curriculum curriculum = setup.curriculum();
  for (int i = 0; i < 3; ++i) {
    std::shared_ptr<const MixturePlan> plan;
    const Time made = measure(
        [&] { plan = std::make_shared<const MixturePlan>(make_plan(curriculum, setup.sources)); });
    RowSchedule schedule(plan);
    const Time jump = measure([&] { (void)schedule.step(plan->end_step() - 1); });
    fmt::print("plan: {} blocks x {} sources in {}; jump to the last step {}\n",
               plan->blocks.size(), plan->num_sources(), text(made), text(jump));
  }
}

/// From files to the first batch: manifests, plan, one rank's rows; then the last step.
void bench_start() {
  std::string name = (std::filesystem::temp_directory_path() / "phalanx-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
  make_big_sources(name);
  for (int i = 0; i < 3; ++i) {
    const int64_t memory = anonymous_memory();
    std::optional<BatchLoader> loader;
    const Time open = measure([&] { loader.emplace(open_big_run(name, i, 2048)); });
    const Time first = measure([&] { (void)loader->next(); });
    const Time jump = measure([&] {
      loader->skip(10'000'000'000'000 / 4096 / 4096 - loader->cursor().step);
      (void)loader->next();
    });
    fmt::print(
        "start: {} sources x {} shards, 10T tokens, rank {} of 2048: manifests and plan {}, "
        "first batch {}, jump to the last step {}, {:.1f} MB\n",
        kBigSources, kBigShards, i, text(open), text(first), text(jump),
        static_cast<double>(anonymous_memory() - memory) / 1e6);
  }
  std::filesystem::remove_all(name);
}

}  // namespace

int main() {
  bench_plan();
  bench_start();
}
