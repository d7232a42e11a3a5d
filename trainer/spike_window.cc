#include "trainer/spike_window.h"

#include <cmath>
#include <numeric>

namespace phalanx {
namespace {

void push(std::vector<double>& values, double value, int64_t window) {
  values.push_back(value);
  const auto most = static_cast<size_t>(window);
  if (values.size() > most) values.erase(values.begin(), values.end() - static_cast<long>(most));
}

}  // namespace

double z_score(const std::vector<double>& values, double value) {
  const auto count = static_cast<double>(values.size());
  if (values.size() < 2) return 0.0;
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0.0;
  for (const double x : values) squares += (x - mean) * (x - mean);
  const double deviation = std::sqrt(squares / (count - 1));
  return deviation > 0.0 ? (value - mean) / deviation : 0.0;
}

bool is_spike(const RecentSteps& recent, const SpikeConfig& config, double loss, double grad_norm) {
  if (config.policy == SpikePolicy::kOff) return false;
  if (static_cast<int64_t>(recent.losses.size()) * 2 < config.window) return false;
  return z_score(recent.losses, loss) > config.z_score ||
         z_score(recent.grad_norms, grad_norm) > config.z_score;
}

void remember(RecentSteps& recent, const SpikeConfig& config, double loss, double grad_norm) {
  if (config.policy == SpikePolicy::kOff) return;
  if (!std::isfinite(loss) || !std::isfinite(grad_norm)) return;
  push(recent.losses, loss, config.window);
  push(recent.grad_norms, grad_norm, config.window);
}

}  // namespace phalanx
