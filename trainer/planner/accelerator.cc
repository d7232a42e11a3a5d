#include "trainer/planner/accelerator.h"

#include <algorithm>
#include <cmath>

namespace phalanx {

double gemm_share(const Accelerator& accelerator, double m, double n, double k) {
  const std::vector<GemmPoint>& points = accelerator.gemm;
  const double size = std::cbrt(m * n * k);
  if (size <= points.front().size) return points.front().share * size / points.front().size;
  for (size_t i = 1; i < points.size(); ++i) {
    const GemmPoint &low = points[i - 1], &high = points[i];
    if (size > high.size) continue;
    const double part = std::log(size / low.size) / std::log(high.size / low.size);
    return low.share + part * (high.share - low.share);
  }
  return points.back().share;
}

Link link_of_group(const Accelerator& accelerator, int64_t group_size, int64_t stride) {
  if (group_size * stride <= accelerator.ranks_per_node) {
    return {"link", accelerator.link_bandwidth, accelerator.link_latency};
  }
  const auto members =
      static_cast<double>(std::clamp<int64_t>(accelerator.ranks_per_node / stride, 1, group_size));
  return {"network", std::min(accelerator.link_bandwidth, accelerator.network_bandwidth * members),
          accelerator.network_latency};
}

}  // namespace phalanx
