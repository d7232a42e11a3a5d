#include "data/mixture/plan_curve.h"

#include <algorithm>
#include <cmath>

#include "data/mixture/apportion.h"
#include "data/mixture/plan_report.h"
#include "data/mixture/row_schedule.h"

namespace phalanx {
namespace {

/// Rows at which a stretch must end: edges of phases and of what an event cut.
std::vector<int64_t> fixed_edges(const MixturePlan& plan) {
  std::vector<int64_t> edges;
  for (const PlanPhase& phase : plan.phases) edges.push_back(phase.first_row);
  for (const Exhaustion& event : plan.exhausted) edges.push_back(event.row);
  edges.push_back(plan.end_row());
  std::sort(edges.begin(), edges.end());
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  return edges;
}

std::vector<int64_t> all_edges(const MixturePlan& plan, int64_t num_stretches, int64_t min_rows) {
  const std::vector<int64_t> fixed = fixed_edges(plan);
  const auto tokens = static_cast<double>(tokens_before(plan, plan.end_row()));
  std::vector<int64_t> edges{fixed.front()};
  for (size_t i = 0; i + 1 < fixed.size(); ++i) {
    const int64_t rows = fixed[i + 1] - fixed[i];
    const auto part =
        static_cast<double>(tokens_before(plan, fixed[i + 1]) - tokens_before(plan, fixed[i]));
    const auto wanted =
        static_cast<int64_t>(std::lround(static_cast<double>(num_stretches) * part / tokens));
    const int64_t pieces = std::clamp<int64_t>(rows / min_rows, 1, std::max<int64_t>(1, wanted));
    for (int64_t p = 1; p <= pieces; ++p) {
      // As a quotient and a remainder, so that the product stays small.
      edges.push_back(fixed[i] + rows / pieces * p + rows % pieces * p / pieces);
    }
  }
  return edges;
}

std::vector<int64_t> rows_given(RowSchedule& schedule, int64_t row) {
  const MixturePlan& plan = schedule.plan();
  const StreamCounts taken = schedule.taken_at(row);
  std::vector<int64_t> rows;
  for (const SourceInfo& source : plan.sources) {
    int64_t sum = 0;
    if (const auto streams = taken.find(source.name); streams != taken.end()) {
      for (const auto& stream : streams->second) sum += stream.second;
    }
    rows.push_back(sum);
  }
  return rows;
}

/// Sums of planned and realised rows since the start or the last event, where the integral starts
/// again from the counts so far.
class GapWatch {
 public:
  explicit GapWatch(const MixturePlan& plan) : plan_(plan), ahead_(plan.num_sources(), 0.0) {}

  void add(const std::vector<double>& planned, const PlanStretch& stretch, LargestGap& gap) {
    for (size_t k = 0; k < ahead_.size(); ++k) {
      ahead_[k] += static_cast<double>(stretch.realised[k]) - planned[k];
      if (std::abs(ahead_[k]) > gap.rows) gap = {std::abs(ahead_[k]), k, stretch.end_row};
    }
    for (const Exhaustion& event : plan_.exhausted) {
      if (event.row == stretch.end_row) std::fill(ahead_.begin(), ahead_.end(), 0.0);
    }
  }

 private:
  const MixturePlan& plan_;
  std::vector<double> ahead_;
};

}  // namespace

std::vector<double> wanted_rows(const MixturePlan& plan, int64_t first, int64_t end) {
  std::vector<double> rows(plan.num_sources(), 0.0);
  for (const PlannedSpan& planned : plan.spans) {
    const ScheduleSpan& span = planned.span;
    const int64_t from = std::max(first, span.first_row);
    const int64_t to = std::min(end, span.first_row + planned.num_rows);
    if (from >= to) continue;
    // The mean of a straight line is its value in the middle.
    const double middle =
        (static_cast<double>(from + to) / 2 - static_cast<double>(span.first_row)) /
        static_cast<double>(span.num_rows);
    for (size_t k = 0; k < rows.size(); ++k) {
      const auto a = static_cast<double>(span.from[k]);
      const auto b = static_cast<double>(span.to[k]);
      rows[k] +=
          (a + (b - a) * middle) / static_cast<double>(kUnit) * static_cast<double>(to - from);
    }
  }
  return rows;
}

PlanCurve plan_curve(const std::shared_ptr<const MixturePlan>& plan, int64_t num_stretches,
                     int64_t min_rows) {
  PlanCurve curve;
  if (plan->phases.empty()) return curve;
  const std::vector<int64_t> edges = all_edges(*plan, num_stretches, min_rows);
  RowSchedule schedule(plan);
  GapWatch watch(*plan);
  std::vector<int64_t> before = rows_given(schedule, edges.front());
  size_t phase = 0;
  for (size_t i = 0; i + 1 < edges.size(); ++i) {
    while (plan->phases[phase].end_row <= edges[i]) ++phase;
    PlanStretch stretch{edges[i],
                        edges[i + 1],
                        tokens_before(*plan, edges[i]),
                        tokens_before(*plan, edges[i + 1]),
                        phase,
                        {},
                        {}};
    std::vector<int64_t> after = rows_given(schedule, edges[i + 1]);
    const std::vector<double> planned = wanted_rows(*plan, edges[i], edges[i + 1]);
    for (size_t k = 0; k < planned.size(); ++k) {
      stretch.realised.push_back(after[k] - before[k]);
      stretch.planned.push_back(planned[k] / static_cast<double>(edges[i + 1] - edges[i]));
    }
    watch.add(planned, stretch, curve.gap);
    curve.stretches.push_back(std::move(stretch));
    before = std::move(after);
  }
  return curve;
}

}  // namespace phalanx
