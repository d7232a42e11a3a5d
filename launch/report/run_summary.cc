#include "launch/report/run_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>

#include "configs/field_list.h"
#include "data/file.h"
#include "data/file_lock.h"
#include "launch/counted.h"
#include "launch/report/run_mix.h"
#include "launch/restart_rules.h"
#include "trainer/checkpoint/checkpoint_folder.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;
constexpr int64_t kMaxConfigBytes = int64_t{16} << 20;
constexpr size_t kMostEvents = 400;  // of a run: more would be a bar, not a timeline

bool looks_like_run(const fs::path& folder) {
  for (const char* file : {"config.yaml", "metrics.jsonl", "start.json"}) {
    std::error_code refused;  // a folder that we may not look into is none to us
    if (fs::exists(folder / file, refused)) return true;
  }
  return false;
}

/// Messages of the reader may have several lines, and begin with the file.
std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

/// Runs `part`; what it throws becomes a problem of the run.
template <class Part>
void attempt(RunSummary& run, const std::string& what, const Part& part) {
  try {
    part();
  } catch (const std::exception& error) {
    run.problems.push_back(what + ": " + first_line(error.what()));
  }
}

void read_config(RunSummary& run) {
  ConfigRequest request;
  request.file = (run.folder / "config.yaml").string();
  const ResolvedConfig config =
      read_run_config_text(read_text(run.folder / "config.yaml", kMaxConfigBytes), request);
  for (const FieldValue& field : field_values(config.run)) run.config[field.path] = field.value;
  for (const SourceConfig& source : config.run.data.sources) {
    run.sources.push_back(source.name);
    run.synthetic[source.name] = source.kind == SourceKind::kSynthetic;
  }
  std::sort(run.sources.begin(), run.sources.end());
  for (const StageConfig& stage : config.run.stages) {
    for (const PhaseConfig& phase : stage.phases) {
      run.planned_tokens += static_cast<double>(phase.tokens);
    }
  }
}

void read_metrics(RunSummary& run) {
  run.history = read_metrics_history(run.folder / "metrics.jsonl");
  const MetricsHistory& history = run.history;
  if (!history.empty()) {
    run.steps = history.steps.back();
    run.tokens = history.tokens.back();
  }
  if (history.bad_lines > 0) {
    run.problems.push_back(fmt::format("metrics.jsonl: {} left out, the first is line {}",
                                       counted(history.bad_lines, "broken line"),
                                       history.first_bad_line));
  }
  if (history.empty()) run.problems.push_back("metrics.jsonl: no step in it yet");
  for (const auto& [name, source] : history.sources) {
    if (std::find(run.sources.begin(), run.sources.end(), name) != run.sources.end()) continue;
    run.sources.push_back(name);
  }
  std::sort(run.sources.begin(), run.sources.end());
}

void read_ledger(RunSummary& run) {
  std::ifstream file(run.folder / "supervisor.jsonl");
  for (std::string line; std::getline(file, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("exit_code")) continue;
    const int code = json.value("exit_code", 0);
    run.history.events.push_back(
        {code == 0 ? "done" : "ended", json.value("last_step", int64_t{0}),
         fmt::format("supervised attempt {} ended with exit code {} ({})",
                     json.value("attempt", int64_t{0}), code, meaning_of_exit(code))});
  }
}

void read_checkpoints(RunSummary& run) {
  for (const CheckpointEntry& entry : list_checkpoints(run.folder / "checkpoints")) {
    run.newest_checkpoint = entry.step;
    run.history.events.push_back({"checkpoint", entry.step, entry.path.filename().string()});
  }
}

void cut_events(RunSummary& run) {
  std::vector<RunEvent>& events = run.history.events;
  if (events.size() > kMostEvents) {
    run.problems.push_back(
        fmt::format("timeline: the last {} of {} events are shown", kMostEvents, events.size()));
    events.erase(events.begin(), events.end() - kMostEvents);
  }
  std::stable_sort(events.begin(), events.end(),
                   [](const RunEvent& a, const RunEvent& b) { return a.step < b.step; });
}

bool is_locked(const fs::path& folder) {
  try {
    return FileLock::is_excluded(folder / "lock").value_or(false);
  } catch (const std::system_error&) {
    return false;  // a folder that we may only read, as of an archive
  }
}

/// By what the last line knows; lines of older versions know nothing, and the plan tells. Without
/// the data the plan is not known, and phases are rounded to whole steps: what seems left
/// may then be less than one.
bool has_all_tokens(const RunSummary& run) {
  const std::vector<double>& tokens = run.history.tokens;
  if (run.history.num_steps > 0) return run.steps >= run.history.num_steps;
  if (tokens.empty() || run.planned_tokens <= 0) return false;
  const bool has_plan = !run.epoch_tokens.empty();
  const double before = tokens.size() > 1 ? tokens[tokens.size() - 2] : 0;
  const double left = run.planned_tokens - tokens.back();
  return left <= 0 || (!has_plan && left < tokens.back() - before);
}

RunStatus status_of(const RunSummary& run) {
  if (is_locked(run.folder)) return RunStatus::kRunning;
  if (run.config.empty() || run.history.empty()) return RunStatus::kBroken;
  return has_all_tokens(run) ? RunStatus::kFinished : RunStatus::kUnfinished;
}

}  // namespace

std::string name_of(RunStatus status) {
  switch (status) {
    case RunStatus::kFinished:
      return "finished";
    case RunStatus::kUnfinished:
      return "not finished";
    case RunStatus::kRunning:
      return "running";
    case RunStatus::kNotBegun:
      return "not begun";
    case RunStatus::kBroken:
      return "broken";
  }
  return "";
}

RunSummary read_run_summary(const fs::path& folder) {
  RunSummary run;
  // Without the slash that a shell's completion puts at the end.
  run.folder = folder.has_filename() ? folder : folder.parent_path();
  run.name = fs::absolute(run.folder).lexically_normal().filename().string();
  if (!fs::exists(folder)) {
    run.problems.push_back("no folder of this run");
    return run;
  }
  attempt(run, "config.yaml", [&] { read_config(run); });
  attempt(run, "metrics.jsonl", [&] { read_metrics(run); });
  attempt(run, "supervisor.jsonl", [&] { read_ledger(run); });
  attempt(run, "checkpoints", [&] { read_checkpoints(run); });
  if (!run.config.empty() && !run.history.empty()) {
    attempt(run, "planned mixture not shown", [&] { add_plan(run); });
  }
  if (run.history.num_tokens > 0) run.planned_tokens = run.history.num_tokens;
  add_realised_mix(run);
  cut_events(run);
  run.status = status_of(run);
  return run;
}

bool is_complete(const RunSummary& run) {
  return run.status == RunStatus::kFinished && run.newest_checkpoint == run.steps;
}

std::vector<fs::path> find_runs(const fs::path& folder) {
  if (!fs::exists(folder)) {
    throw std::invalid_argument(
        fmt::format("{}: expected a run's folder, found nothing", folder.string()));
  }
  if (!fs::is_directory(folder)) {
    throw std::invalid_argument(
        fmt::format("{}: expected a run's folder, found a file", folder.string()));
  }
  if (looks_like_run(folder)) return {folder};
  std::vector<fs::path> runs;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::error_code refused;
    if (entry.is_directory(refused) && looks_like_run(entry.path())) runs.push_back(entry.path());
  }
  std::sort(runs.begin(), runs.end());
  if (runs.empty()) {
    throw std::invalid_argument(fmt::format(
        "{}: expected a run's folder (with config.yaml, start.json or metrics.jsonl) or a folder "
        "of runs, found neither",
        folder.string()));
  }
  return runs;
}

}  // namespace phalanx
