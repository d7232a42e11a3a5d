#pragma once
// All that a report says of one run, from its folder. Local; reads files only, among them the
// manifests of the data for the planned mixture.
// What is missing or broken is a line of `problems`, never an error: the rest is still drawn.
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "launch/report/metrics_history.h"

namespace phalanx {

enum class RunStatus { kFinished, kUnfinished, kRunning, kNotBegun, kBroken };
[[nodiscard]] std::string name_of(RunStatus status);

/// A stretch of a run with the shares that were planned and those that were read, by source.
struct MixStretch {
  double first_token = 0, end_token = 0;
  std::vector<double> planned, realised;  // each sums to 1, or is all 0 where nothing is known
};

struct RunSummary {
  std::filesystem::path folder;
  std::string name;  // of the folder
  RunStatus status = RunStatus::kNotBegun;
  std::vector<std::string> problems;
  std::map<std::string, std::string> config;  // path -> value; empty: not readable
  std::vector<std::string> sources;           // in name order
  std::map<std::string, bool> synthetic;
  std::map<std::string, double> epoch_tokens;  // of one epoch; only where the data is there
  std::vector<MixStretch> mix;
  double planned_tokens = 0;      // of the whole run; 0: not known
  int64_t newest_checkpoint = 0;  // step; 0: none
  double tokens = 0;              // done
  int64_t steps = 0;              // done
  MetricsHistory history;         // whoever has drawn it may let it go
};

/// A folder that is not there is a run that has not begun.
[[nodiscard]] RunSummary read_run_summary(const std::filesystem::path& folder);

/// Has the run taken its last step, and saved it?
[[nodiscard]] bool is_complete(const RunSummary& run);

/// `folder` itself if it looks like a run, else the runs directly in it, by name.
/// Throws std::invalid_argument if there is no such folder or nothing in it.
[[nodiscard]] std::vector<std::filesystem::path> find_runs(const std::filesystem::path& folder);

}  // namespace phalanx
