#pragma once
// A run's plan as people read it, before anything is trained. Pure text; local.
// `train` prints plan_text(); `data mix` adds the chart.
#include <string>

#include "data/mixture/plan_curve.h"
#include "data/mixture/plan_report.h"
#include "trainer/run_config.h"

namespace phalanx {

/// Stages, phases with what each takes from each source, totals, sources that run out, and what is
/// worth a look.
std::string plan_text(const MixturePlan& plan, const RunConfig& config);

/// What is worth a look: facts, a line each.
std::vector<std::string> plan_notes(const PlanReport& report);

/// Rows drawn, as a stacked chart of one letter a source (capitals: synthetic), and for each phase
/// the weights planned against the rows drawn. `curve` has about kChartColumns stretches.
inline constexpr int64_t kChartColumns = 72;
std::string chart_text(const MixturePlan& plan, const PlanCurve& curve);

}  // namespace phalanx
