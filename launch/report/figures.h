#pragma once
// Final figures of runs, and of groups of runs that differ in their seeds only. Local, pure.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launch/report/run_summary.h"

namespace phalanx {

/// Of one run; NaN where it is not known.
struct RunFigures {
  double train_loss = 0;       // nats a target, mean of the last twentieth of the steps
  double validation_loss = 0;  // nats a target, of all sources, at the last evaluation
  double tokens_per_second = 0;
  std::map<std::string, double> bits_per_byte;  // held out
  std::map<std::string, double> epochs;
};
[[nodiscard]] RunFigures figures_of(const RunSummary& run);

/// Mean and standard deviation (n - 1) of what is known; both NaN without any, sd NaN for one.
struct Spread {
  int64_t n = 0;
  double mean = 0, sd = 0;
};
[[nodiscard]] Spread spread_of(const std::vector<double>& values);

/// How much `one` lies above `other`: mean, and half of its 95 % interval (NaN with a single value
/// on either side). Pairs of equal keys (seeds) are compared as pairs when every key has its
/// partner; else the two means are (Welch).
struct Difference {
  double mean = 0, half_width = 0;
  bool paired = false;
};
[[nodiscard]] Difference difference_of(const std::map<std::string, double>& one,
                                       const std::map<std::string, double>& other);

struct RunGroup {
  std::string name;
  std::vector<size_t> runs;     // indices into the runs of the report
  std::vector<size_t> counted;  // those whose figures count: the finished ones, else all with steps
  bool complete = false;        // all of them have finished
};

/// The name without a seed at its end: `late-seed-3`, `late_seed3`, `late.seed=3` -> `late`.
[[nodiscard]] std::string name_without_seed(const std::string& name);
/// The seed at the end of a name; else the name, so that it pairs with nothing else.
[[nodiscard]] std::string seed_of(const std::string& name);
/// In the order of their first runs; runs of one group lie in one folder.
[[nodiscard]] std::vector<RunGroup> group_runs(const std::vector<RunSummary>& runs);

}  // namespace phalanx
