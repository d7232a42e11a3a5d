// Prints how long a plan of 36,000 blocks and 50 sources takes, a jump in it, and what the loader
// gives from made-up sources. Not a test: times depend on the machine. Build target mixture_bench.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>

#include "data/mixture/plan_report.h"
#include "tests/data/mixture/fake_source.h"

namespace {

using namespace phalanx;
using namespace phalanx::testing;

template <typename Work>
double milliseconds(Work work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
      .count();
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
    const double made = milliseconds(
        [&] { plan = std::make_shared<const MixturePlan>(make_plan(curriculum, setup.sources)); });
    RowSchedule schedule(plan);
    const double jump = milliseconds([&] { (void)schedule.step(plan->end_step() - 1); });
    fmt::print("plan: {} blocks x {} sources in {:.1f} ms; jump to the last step {:.2f} ms\n",
               plan->blocks.size(), plan->num_sources(), made, jump);
  }
}

void bench_loader() {
  TestRun setup;
  setup.stages.resize(1);
  PhaseConfig phase;
  phase.tokens = 4096LL * 64 * 2000;
  phase.mix = {{"a", 0.5}, {"b", 0.3}, {"c", 0.2}};
  setup.stages[0] = {"s", 4096, 64, {}, false, {phase}};
  for (const char* name : {"a", "b", "c"}) {
    setup.data.sources.push_back({name, "", SourceKind::kOrganic, 1000.0});
    setup.sources.push_back({name, "", {5000}});
  }
  setup.data.document_mask = true;
  BatchLoader loader(begin_run(setup.curriculum(), setup.sources), setup.row_sources(), 0, 1);
  const int steps = 200;
  const double spent = milliseconds([&] {
    for (int i = 0; i < steps; ++i) (void)loader.next();
  });
  fmt::print("loader: {:.1f}M tokens/s, one thread, 3 made-up sources, rows of 4096\n",
             steps * 64 * 4096 / spent / 1e3);
}

}  // namespace

int main() {
  bench_plan();
  bench_loader();
}
