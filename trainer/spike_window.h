#pragma once
// Is a loss or a gradient norm far above those of the steps before it? By its distance from their
// mean in standard deviations. Local, plain values, the same on every rank.
#include <vector>

#include "trainer/run_config.h"

namespace phalanx {

/// Of the last steps that were trained on, the newest last. Part of a run's state.
struct RecentSteps {
  std::vector<double> losses;
  std::vector<double> grad_norms;
};

/// How many standard deviations `value` lies above the mean of `values`; 0 if they do not differ.
double z_score(const std::vector<double>& values, double value);

/// With spikes.policy: off, or with fewer than half of the window there: never. Values that are not
/// finite are no spikes; they are another matter.
bool is_spike(const RecentSteps& recent, const SpikeConfig& config, double loss, double grad_norm);

/// Takes a step in that was trained on. A value that is not finite never enters.
void remember(RecentSteps& recent, const SpikeConfig& config, double loss, double grad_norm);

}  // namespace phalanx
