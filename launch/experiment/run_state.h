#pragma once
// How far each run of an experiment is, found from its folder alone: there is no other record that
// a kill could leave behind. Local.
#include <filesystem>
#include <string>

#include "configs/experiment_config.h"

namespace phalanx {

enum class RunProgress { kNotBegun, kBegun, kDone, kOther };

struct ExperimentRunState {
  RunProgress progress = RunProgress::kNotBegun;
  std::string problem;  // of kOther: in what the folder's configuration differs
};

struct ExperimentPlace {
  std::filesystem::path folder;  // dir/name
  [[nodiscard]] std::filesystem::path run(const ExperimentRun& run) const {
    return folder / run.name;
  }
  [[nodiscard]] std::filesystem::path log(const ExperimentRun& run) const {
    return folder / "logs" / (run.name + ".log");
  }
};

/// kOther: the folder holds a run of another configuration, fields apart that change no result.
[[nodiscard]] ExperimentRunState state_of(const ExperimentPlace& place, const ExperimentRun& run);

/// The last error or hang that the program names in a log ("phalanx: error: ..."), without its own
/// name in front; empty if there is none.
[[nodiscard]] std::string last_message(const std::filesystem::path& log);

}  // namespace phalanx
