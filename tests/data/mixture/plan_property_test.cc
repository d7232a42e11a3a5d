// What SEMANTICS.md promises, over thousands of random curricula with fixed seeds.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "data/mixture/apportion.h"
#include "data/mixture/block_draw.h"
#include "data/mixture/caps.h"
#include "data/mixture/plan_report.h"
#include "data/mixture/resume.h"
#include "data/mixture/row_schedule.h"
#include "tests/data/mixture/big_run.h"
#include "tests/data/mixture/fake_source.h"

namespace phalanx {
namespace {

using testing::Dice;
using testing::plan_of;
using testing::random_setup;
using testing::TestRun;

TEST(KeyedPermutation, IsABijectionOfEverySizeAndChangesWithItsKey) {
  for (int64_t size = 1; size <= 300; ++size) {
    const KeyedPermutation permutation(size, window_key(5, "web", static_cast<uint64_t>(size)));
    std::set<int64_t> seen;
    for (int64_t i = 0; i < size; ++i) seen.insert(permutation(i));
    EXPECT_EQ(static_cast<int64_t>(seen.size()), size);
    EXPECT_EQ(*seen.begin(), 0);
    EXPECT_EQ(*seen.rbegin(), size - 1);
  }
  const KeyedPermutation one(1'000'003, window_key(5, "web", 0));
  const KeyedPermutation two(1'000'003, window_key(5, "web", 1));
  int64_t equal = 0;
  for (int64_t i = 0; i < 10'000; ++i) equal += one(i) == two(i);
  EXPECT_LT(equal, 5);
}

// A block is right when every source has given floor or ceil of its part after every row.
TEST(BlockDraw, EverySourceIsWithinOneRowOfItsPartAtEveryRow) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    Dice dice(seed);
    std::vector<int64_t> counts(static_cast<size_t>(dice.between(1, 60)));
    int64_t total = 0;
    for (int64_t& count : counts) {
      count = dice.between(0, 3) == 0 ? 0 : dice.between(0, dice.between(1, 40));
      total += count;
    }
    const std::vector<uint16_t> draws = draw_block(counts);
    ASSERT_EQ(static_cast<int64_t>(draws.size()), total);
    std::vector<int64_t> given(counts.size(), 0);
    for (int64_t p = 0; p < total; ++p) {
      ++given[draws[static_cast<size_t>(p)]];
      for (size_t k = 0; k < counts.size(); ++k) {
        ASSERT_LT(std::abs(given[k] * total - counts[k] * (p + 1)), total) << seed << " row " << p;
      }
    }
  }
}

// The integral of the mixes, in 1/2^32 rows times 2 * ramp rows, computed row by row from the
// configuration and not from spans or blocks.
class RealIntegral {
 public:
  explicit RealIntegral(const MixturePlan& plan) : plan_(plan), sum_(plan.num_sources(), 0.0L) {}

  // Adds row `row` of phase `index`.
  void add(size_t index, int64_t row) {
    const PlanPhase& phase = plan_.phases[index];
    const CurriculumPhase& now = config(phase);
    const int64_t length =
        plan_.curriculum.stages[static_cast<size_t>(phase.stage)].sequence_length;
    long double part = 1.0L;
    if (now.ramp == Ramp::kLinear) {
      int64_t ramp = phase.end_row - phase.first_row;
      if (now.ramp_tokens) ramp = std::min(ramp, (*now.ramp_tokens + length - 1) / length);
      part = std::min(1.0L, (static_cast<long double>(row - phase.first_row) + 0.5L) /
                                static_cast<long double>(ramp));
    }
    for (size_t k = 0; k < sum_.size(); ++k) {
      const auto to = static_cast<long double>(now.weights[k]);
      const auto from = index == 0 ? to : static_cast<long double>(before(phase).weights[k]);
      sum_[k] += (from + (to - from) * part) / static_cast<long double>(kUnit);
    }
  }
  long double rows(size_t k) const { return sum_[k]; }

 private:
  const CurriculumPhase& config(const PlanPhase& phase) const {
    return plan_.curriculum.stages[static_cast<size_t>(phase.stage)]
        .phases[static_cast<size_t>(phase.phase)];
  }
  // The phase before, even one too short for a row.
  const CurriculumPhase& before(const PlanPhase& phase) const {
    const auto& stages = plan_.curriculum.stages;
    const auto s = static_cast<size_t>(phase.stage);
    if (phase.phase > 0) return stages[s].phases[static_cast<size_t>(phase.phase - 1)];
    return stages[s - 1].phases.back();
  }

  const MixturePlan& plan_;
  std::vector<long double> sum_;
};

// Draws of every row in the order of rows, not of positions in the step.
std::vector<uint16_t> all_draws(const MixturePlan& plan) {
  std::vector<uint16_t> all;
  for (size_t b = 0; b < plan.blocks.size(); ++b) {
    std::vector<int64_t> counts;
    for (size_t k = 0; k < plan.num_sources(); ++k) {
      counts.push_back(plan.rows_in_block(static_cast<int64_t>(b), k));
    }
    const std::vector<uint16_t> draws = draw_block(counts);
    all.insert(all.end(), draws.begin(), draws.end());
  }
  return all;
}

TEST(MixturePlan, EverySourceIsWithinOneRowOfThePlanAndTwoOfTheRealIntegralAtEveryRow) {
  for (uint64_t seed = 0; seed < 6000; ++seed) {
    const auto plan = plan_of(random_setup(seed, true));
    const std::vector<uint16_t> draws = all_draws(*plan);
    ASSERT_EQ(static_cast<int64_t>(draws.size()), plan->end_row());
    std::vector<int64_t> given(plan->num_sources(), 0);
    RealIntegral real(*plan);
    size_t phase = 0;
    for (int64_t row = 0; row < plan->end_row(); ++row) {
      while (row >= plan->phases[phase].end_row) ++phase;
      ++given[draws[static_cast<size_t>(row)]];
      real.add(phase, row);
      const std::vector<int64_t> planned = planned_rows(*plan, row + 1);
      for (size_t k = 0; k < given.size(); ++k) {
        ASSERT_TRUE(given[k] == planned[k] || given[k] == planned[k] + 1)
            << "seed " << seed << " row " << row << " source " << k;
        ASSERT_LT(std::abs(static_cast<long double>(given[k]) - real.rows(k)), 2.0L)
            << "seed " << seed << " row " << row << " source " << k;
      }
    }
  }
}

TEST(MixturePlan, PhasesEndAtWholeRowsAndStagesAtWholeSteps) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    const TestRun setup = random_setup(seed, true);
    const auto plan = plan_of(setup);
    int64_t row = 0;
    size_t at = 0;
    for (size_t s = 0; s < setup.stages.size(); ++s) {
      const StageRows& stage = setup.stages[s];
      const int64_t first = row;
      int64_t tokens = 0;
      for (const PhaseConfig& phase : stage.phases) {
        tokens += phase.tokens;
        const int64_t end = first + (tokens + stage.sequence_length - 1) / stage.sequence_length;
        if (end == row) continue;  // less than a row
        ASSERT_EQ(plan->phases[at].first_row, row);
        if (&phase != &stage.phases.back()) {
          ASSERT_EQ(plan->phases[at].end_row, end);
        } else {
          ASSERT_GE(plan->phases[at].end_row, end);
          ASSERT_LT(plan->phases[at].end_row, end + 40);  // less than a step
        }
        row = plan->phases[at++].end_row;
      }
    }
    ASSERT_EQ(at, plan->phases.size());
    for (const StepSpan& span : plan->steps) {
      ASSERT_EQ((span.end_row - span.first_row) % span.rows_per_step, 0);
    }
    ASSERT_EQ(plan->end_row(), row);
  }
}

TEST(MixturePlan, CapsAreNeverExceededAndWhatIsLeftOverIsShared) {
  int64_t exhausted = 0;
  int64_t planned = 0;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    const TestRun setup = random_setup(seed, false);
    std::shared_ptr<const MixturePlan> plan;
    try {
      plan = plan_of(setup);
    } catch (const std::invalid_argument& error) {
      ASSERT_NE(std::string(error.what()).find("found none at row"), std::string::npos)
          << error.what();
      continue;
    }
    ++planned;
    ASSERT_EQ(plan->blocks.back().first_row + plan->blocks.back().num_rows, plan->end_row());
    for (size_t k = 0; k < plan->num_sources(); ++k) {
      std::map<int64_t, int64_t> drawn;
      for (size_t s = 0; s < setup.stages.size(); ++s) {
        const int64_t length = setup.stages[s].sequence_length;
        const int64_t rows = plan->prefix_at(plan->stage_first_block[s + 1])[k] -
                             plan->prefix_at(plan->stage_first_block[s])[k];
        const int64_t left = rows_left(*plan, k, s, drawn);
        ASSERT_LE(rows, left) << "seed " << seed;
        exhausted += rows == left;
        drawn[length] += rows;
      }
    }
  }
  EXPECT_GT(exhausted, 1000);
  EXPECT_GT(planned, 1000);
}

TEST(MixturePlan, AnEpochIsCompleteBeforeItRepeats) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const auto plan = plan_of(random_setup(seed, true));
    RowSchedule schedule(plan);
    std::map<std::pair<int32_t, int64_t>, std::vector<RowDraw>> streams;  // by source and T
    std::map<std::pair<int32_t, int64_t>, int64_t> sizes;
    for (int64_t step = 0; step < plan->end_step(); ++step) {
      const auto stage = static_cast<size_t>(plan->step_rows(step).stage);
      const int64_t length = plan->curriculum.stages[stage].sequence_length;
      for (const RowDraw& row : schedule.step(step)) {
        streams[{row.source, length}].push_back(row);
        sizes[{row.source, length}] =
            plan->sources[static_cast<size_t>(row.source)].rows_by_stage[stage];
      }
    }
    for (auto& [key, rows] : streams) {
      std::sort(rows.begin(), rows.end(),
                [](const RowDraw& a, const RowDraw& b) { return a.draw < b.draw; });
      std::set<int64_t> windows;
      for (size_t i = 0; i < rows.size(); ++i) {
        ASSERT_EQ(rows[i].draw, static_cast<int64_t>(i)) << "seed " << seed;
        if (rows[i].draw % sizes[key] == 0) windows.clear();
        ASSERT_TRUE(windows.insert(rows[i].window).second) << "seed " << seed;
        ASSERT_LT(rows[i].window, sizes[key]);
      }
    }
  }
}

TEST(MixturePlan, AddingASourceMovesNoWindowOfAnother) {
  TestRun setup = testing::small_setup();
  RowSchedule before(plan_of(setup));
  setup.data.sources.push_back({"archive", "", SourceKind::kSynthetic, 20.0});
  setup.sources.push_back({"archive", "", {70}});
  setup.stages[0].phases[1].mix = {{"web", 0.2}, {"code", 0.3}, {"archive", 0.5}};
  RowSchedule after(plan_of(setup));
  std::map<std::pair<std::string, int64_t>, int64_t> windows;
  int64_t compared = 0;
  for (int64_t step = 0; step < before.plan().end_step(); ++step) {
    for (const RowDraw& row : before.step(step)) {
      windows[{before.plan().sources[static_cast<size_t>(row.source)].name, row.draw}] = row.window;
    }
  }
  for (int64_t step = 0; step < after.plan().end_step(); ++step) {
    for (const RowDraw& row : after.step(step)) {
      const auto found =
          windows.find({after.plan().sources[static_cast<size_t>(row.source)].name, row.draw});
      if (found == windows.end()) continue;
      ++compared;
      ASSERT_EQ(found->second, row.window);
    }
  }
  EXPECT_GT(compared, 600);
}

// 50 sources, 10 trillion tokens: work is counted, not time.
TEST(MixturePlan, TenTrillionTokensOfFiftySourcesNeedFewBlocksAndAJumpDrawsOneBlock) {
  const auto plan = plan_of(testing::big_plan());
  EXPECT_GT(plan->end_row(), 2'441'000'000);
  EXPECT_LT(plan->blocks.size(), 60'000U);
  EXPECT_LT(plan->prefix.size() * sizeof(int64_t), 30U << 20);
  RowSchedule schedule(plan);
  const std::vector<RowDraw> last = schedule.step(plan->end_step() - 1);
  EXPECT_EQ(last.size(), 4096U);
  EXPECT_LE(schedule.num_blocks_drawn(), 2);
  const auto taken = schedule.taken_at(plan->end_row());
  int64_t total = 0;
  for (const auto& source : taken) total += source.second.at(4096);
  EXPECT_EQ(total, plan->end_row());
}

TEST(PlanReport, CountsOfThePhasesAddUpToTheRun) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const auto plan = plan_of(random_setup(seed, true));
    const PlanReport report = describe_plan(*plan);
    int64_t rows = 0;
    for (const PhaseReport& phase : report.phases) {
      ASSERT_EQ(phase.first_row, rows);
      for (const PhaseShare& share : phase.sources) rows += share.rows;
      ASSERT_EQ(phase.end_row, rows);
      ASSERT_LE(phase.first_step, phase.last_step);
    }
    ASSERT_EQ(rows, plan->end_row());
    ASSERT_EQ(report.phases.back().last_step, plan->end_step() - 1);
    int64_t tokens = 0;
    for (const SourceReport& source : report.sources) tokens += source.tokens;
    ASSERT_EQ(tokens, report.tokens);
  }
}

}  // namespace
}  // namespace phalanx
