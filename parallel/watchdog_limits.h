#pragma once
// How long a rank may go without progress before the watchdog ends it. Plain values.
#include <optional>

namespace phalanx {

/// Longest times without progress, in seconds; 0: no limit.
struct WatchdogLimits {
  // Of a step; nothing: ten times the slowest one so far, at least a minute. The first step of a
  // process belongs to the start.
  std::optional<double> train;
  double start = 1800;  // and of the end
  double evaluate = 1800;
  double save = 1800;
};

}  // namespace phalanx
