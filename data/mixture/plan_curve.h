#pragma once
// How a plan's mix moves: stretches of the run with the weights that the curriculum wants and the
// rows that are really drawn. Local, pure.
// Planned: the exact mean of the effective weights over the stretch. Realised: every row of it,
// counted from the draws, none sampled. Costs the draws of one block a stretch.
#include <cstdint>
#include <memory>
#include <vector>

#include "data/mixture/mixture_plan.h"

namespace phalanx {

struct PlanStretch {
  int64_t first_row = 0;
  int64_t end_row = 0;
  int64_t first_token = 0;  // of the plan
  int64_t end_token = 0;
  size_t phase = 0;               // index into MixturePlan::phases
  std::vector<double> planned;    // share of each source, sum 1
  std::vector<int64_t> realised;  // rows of each source
};

/// The largest distance between rows given and the exact integral of the weights.
struct LargestGap {
  double rows = 0.0;
  size_t source = 0;
  int64_t row = 0;
};

struct PlanCurve {
  std::vector<PlanStretch> stretches;  // in order, without gaps
  LargestGap gap;                      // at the edges of the stretches
};

/// Rows of each source that the effective weights want of rows [first, end), unrounded: the exact
/// integral of the weights.
[[nodiscard]] std::vector<double> wanted_rows(const MixturePlan& plan, int64_t first, int64_t end);

/// About `num_stretches`, equally long in tokens; none crosses the edge of a phase or a row at
/// which a source runs out, and none is shorter than `min_rows` where they allow it.
[[nodiscard]] PlanCurve plan_curve(const std::shared_ptr<const MixturePlan>& plan,
                                   int64_t num_stretches, int64_t min_rows);

}  // namespace phalanx
