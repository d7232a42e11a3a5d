// What people are shown of a plan, against the draws counted one by one.
#include "data/mixture/plan_curve.h"

#include <gtest/gtest.h>

#include <numeric>

#include "data/mixture/caps.h"
#include "data/mixture/plan_report.h"
#include "tests/data/mixture/fake_source.h"

namespace phalanx {
namespace {

using testing::plan_of;
using testing::random_setup;
using testing::small_setup;

int64_t rows_of(const StreamCounts& counts, const std::string& source) {
  const auto streams = counts.find(source);
  if (streams == counts.end()) return 0;
  return std::accumulate(streams->second.begin(), streams->second.end(), int64_t{0},
                         [](int64_t sum, const auto& stream) { return sum + stream.second; });
}

/// The source of each row, by the growth of the ledger's counts.
std::vector<size_t> sources_of_rows(const std::shared_ptr<const MixturePlan>& plan) {
  RowSchedule schedule(plan);
  std::vector<size_t> sources;
  std::vector<int64_t> before(plan->num_sources(), 0);
  for (int64_t row = plan->first_row(); row < plan->end_row(); ++row) {
    const StreamCounts counts = schedule.taken_at(row + 1);
    for (size_t k = 0; k < before.size(); ++k) {
      const int64_t rows = rows_of(counts, plan->sources[k].name);
      if (rows > before[k]) sources.push_back(k);
      before[k] = rows;
    }
  }
  return sources;
}

void expect_counts(const MixturePlan& plan, const PlanCurve& curve,
                   const std::vector<size_t>& sources) {
  int64_t row = plan.first_row();
  int64_t token = 0;
  for (const PlanStretch& stretch : curve.stretches) {
    ASSERT_EQ(stretch.first_row, row);
    ASSERT_EQ(stretch.first_token, token);
    const PlanPhase& phase = plan.phases[stretch.phase];
    ASSERT_TRUE(stretch.first_row >= phase.first_row && stretch.end_row <= phase.end_row);
    std::vector<int64_t> counts(plan.num_sources(), 0);
    for (; row < stretch.end_row; ++row) ++counts[sources[static_cast<size_t>(row)]];
    ASSERT_EQ(stretch.realised, counts);
    const double sum = std::accumulate(stretch.planned.begin(), stretch.planned.end(), 0.0);
    ASSERT_NEAR(sum, 1.0, 1e-6);
    token = stretch.end_token;
  }
  ASSERT_EQ(row, plan.end_row());
  ASSERT_EQ(token, describe_plan(plan).tokens);
}

TEST(PlanCurve, CountsEveryRowOfRandomCurricula) {
  double largest = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    std::shared_ptr<const MixturePlan> plan;
    try {
      plan = plan_of(random_setup(seed, seed % 2 == 0));
    } catch (const std::invalid_argument&) {
      continue;  // everything ran out
    }
    const std::vector<size_t> sources = sources_of_rows(plan);
    for (const int64_t stretches : {1, 40, 100000}) {
      const PlanCurve curve = plan_curve(plan, stretches, 1);
      expect_counts(*plan, curve, sources);
      largest = std::max(largest, curve.gap.rows);
    }
  }
  EXPECT_LE(largest, 2.0);  // the promise of SEMANTICS.md, section 4
  EXPECT_GT(largest, 0.5);
}

TEST(PlanCurve, ShowsARampAsItsExactMean) {
  const auto plan = plan_of(small_setup());
  const PlanCurve curve = plan_curve(plan, 20, 1);  // 64 rows each
  // Rows 640 to 840 ramp web from 0.7 to 0.2.
  const auto ramp = std::find_if(curve.stretches.begin(), curve.stretches.end(),
                                 [](const PlanStretch& s) { return s.first_row == 640; });
  ASSERT_NE(ramp, curve.stretches.end());
  const PlanStretch& stretch = *ramp;
  ASSERT_EQ(stretch.end_row, 704);
  const double middle = double(stretch.end_row - stretch.first_row) / 2;
  EXPECT_NEAR(stretch.planned[2], 0.7 - 0.5 * middle / 200, 1e-6);
  EXPECT_NEAR(curve.stretches[0].planned[2], 0.7, 1e-6);
  EXPECT_NEAR(curve.stretches.back().planned[1], 0.5, 1e-6);
}

TEST(PlanCurve, NoStretchIsShorterThanAskedForWhereThePhasesAllowIt) {
  const auto plan = plan_of(small_setup());
  for (const PlanStretch& stretch : plan_curve(plan, 100000, 32).stretches) {
    EXPECT_GE(stretch.end_row - stretch.first_row, 32);
  }
  EXPECT_EQ(plan_curve(plan, 1, 32).stretches.size(), plan->phases.size());
}

TEST(PlanReport, FirstAndLastStepsOfASourceAreThoseOfItsRows) {
  for (uint64_t seed = 100; seed < 140; ++seed) {
    const auto plan = plan_of(random_setup(seed, true));
    const std::vector<size_t> sources = sources_of_rows(plan);
    const PlanReport report = describe_plan(*plan);
    for (const PhaseReport& phase : report.phases) {
      std::vector<int64_t> first(plan->num_sources(), -1), last(plan->num_sources(), -1);
      int64_t step = phase.first_step;
      for (int64_t row = phase.first_row; row < phase.end_row; ++row) {
        while (row >= plan->step_rows(step).first_row + plan->step_rows(step).num_rows) ++step;
        const size_t k = sources[static_cast<size_t>(row)];
        if (first[k] < 0) first[k] = step;
        last[k] = step;
      }
      for (size_t k = 0; k < plan->num_sources(); ++k) {
        EXPECT_EQ(phase.sources[k].first_step, first[k]) << seed;
        EXPECT_EQ(phase.sources[k].last_step, last[k]) << seed;
      }
    }
  }
}

TEST(PlanReport, ASourceThatRunsOutIsNamedAtTheRowFromWhichNoneIsDrawn) {
  int64_t events = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    std::shared_ptr<const MixturePlan> plan;
    try {
      plan = plan_of(random_setup(seed, false));
    } catch (const std::invalid_argument&) {
      continue;
    }
    if (plan->exhausted.empty()) continue;
    const std::vector<size_t> sources = sources_of_rows(plan);
    const PlanReport report = describe_plan(*plan);
    ASSERT_EQ(report.exhausted.size(), plan->exhausted.size());
    for (size_t i = 0; i < plan->exhausted.size(); ++i) {
      const Exhaustion& event = plan->exhausted[i];
      EXPECT_EQ(report.exhausted[i].source, plan->sources[size_t(event.source)].name);
      EXPECT_EQ(report.exhausted[i].phase, phase_name(*plan, event.row));
      EXPECT_EQ(std::count(sources.begin() + event.row, sources.end(), size_t(event.source)), 0);
      ++events;
    }
  }
  EXPECT_GT(events, 100);
}

}  // namespace
}  // namespace phalanx
