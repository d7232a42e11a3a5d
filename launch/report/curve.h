#pragma once
// A curve with few enough points to be drawn, whatever the length of the run. Local, pure.
#include <cstddef>
#include <span>
#include <vector>

namespace phalanx {

/// Points in the order of x. Where several steps share a point, y is their mean and low and high
/// are the least and the greatest of them; else low and high are empty.
struct Curve {
  std::vector<double> x, y, low, high;
};

/// At most `max_points` points of (x, y), equally many steps in each; no minimum or maximum is
/// lost. Values that are not finite are left out. x rises; both have the same length.
[[nodiscard]] Curve thin(std::span<const double> x, std::span<const double> y, size_t max_points);

}  // namespace phalanx
