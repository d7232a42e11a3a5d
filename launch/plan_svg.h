#pragma once
// A plan as a picture: the weights that each phase wants as lines, the rows that are drawn as dots,
// over the tokens of the run. Pure text; local. Self-contained SVG, readable on light and on dark
// paper; synthetic sources are dashed and warm, organic ones solid and cold.
#include <string>

#include "data/mixture/plan_curve.h"

namespace phalanx {

/// `title` is shown above the picture.
std::string plan_svg(const MixturePlan& plan, const PlanCurve& curve, const std::string& title);

/// Stretches that show well: fewer dots a source when there are many sources.
int64_t svg_stretches(size_t num_sources);

}  // namespace phalanx
