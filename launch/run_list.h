#pragma once
// The runs of a folder, each with its state, as far as their files tell: lock, metrics.jsonl,
// end.json, supervisor.jsonl, hangs/. Local; only reads, and takes no lock for longer than a look.
// Errors: std::invalid_argument of a folder that is none; what cannot be read in a run is said as
// its state.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "trainer/metrics/last_step.h"

namespace phalanx {

enum class RunState {
  kRunning,
  kFinished,
  kStopped,  // on request, saved
  kFailed,   // it said why
  kKilled,   // it could not
  kUnknown
};

struct ListedRun {
  std::filesystem::path folder;
  RunState state = RunState::kUnknown;
  std::string reason;            // of a stop, a failure, a kill; empty: none is needed
  std::optional<int> exit_code;  // where it is known
  std::optional<LastStep> last;  // nothing before the first step
  std::optional<int64_t> checkpoint_step;
  std::optional<double> ended_unix_seconds;
};

/// `folder` itself if it is a run's, else the runs right below it, by name.
[[nodiscard]] std::vector<ListedRun> list_runs(const std::filesystem::path& folder);

/// `running`, `finished`, `stopped`, `failed`, `killed`, `unknown`.
[[nodiscard]] const char* name_of(RunState state);

/// A table, with a line a run; `now` is in seconds of Unix time.
[[nodiscard]] std::string run_list_text(const std::vector<ListedRun>& runs, double now);

/// One line of JSON, without its end.
[[nodiscard]] std::string run_list_json(const ListedRun& run);

}  // namespace phalanx
