#include "launch/report/curve.h"

#include <algorithm>
#include <cmath>

namespace phalanx {
namespace {

/// Several steps that become one point.
struct Bucket {
  double x = 0, sum = 0, low = 0, high = 0;
  size_t count = 0;

  void add(double at, double value) {
    low = count == 0 ? value : std::min(low, value);
    high = count == 0 ? value : std::max(high, value);
    x = at;
    sum += value;
    ++count;
  }
};

}  // namespace

Curve thin(std::span<const double> x, std::span<const double> y, size_t max_points) {
  const auto is_known = [&](size_t i) { return std::isfinite(x[i]) && std::isfinite(y[i]); };
  size_t finite = 0;
  for (size_t i = 0; i < y.size(); ++i) finite += is_known(i) ? 1 : 0;
  // A point with its low and high is drawn as much as two points are.
  const bool shared = finite > max_points;
  const size_t points = shared ? std::max<size_t>(1, max_points / 2) : std::max<size_t>(1, finite);
  Curve curve;
  Bucket bucket;
  size_t seen = 0, done = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    if (!is_known(i)) continue;
    bucket.add(x[i], y[i]);
    ++seen;
    if (seen * points < (done + 1) * finite) continue;
    curve.x.push_back(bucket.x);
    curve.y.push_back(bucket.sum / static_cast<double>(bucket.count));
    if (shared) {
      curve.low.push_back(bucket.low);
      curve.high.push_back(bucket.high);
    }
    bucket = {};
    ++done;
  }
  return curve;
}

}  // namespace phalanx
