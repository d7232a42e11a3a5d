#include "launch/run_list.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>

#include "data/file_lock.h"
#include "launch/commands/terminal_text.h"
#include "launch/restart_rules.h"
#include "launch/run_end.h"
#include "trainer/checkpoint/checkpoint_folder.h"
#include "trainer/metrics/progress_text.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

constexpr int kSignals = 128;  // exit codes above it are those of signals

bool is_run(const fs::path& folder) {
  std::error_code refused;
  if (fs::exists(folder / "start.json", refused)) return true;
  // One that we may not look into is listed with that as its state.
  return refused || fs::exists(folder / "metrics.jsonl");
}

/// Unix seconds; 0 of a file that is not there.
double written_at(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return 0.0;
  return double(status.st_mtim.tv_sec) + 1e-9 * double(status.st_mtim.tv_nsec);
}

/// What a supervisor has noted of the newest start.
std::optional<RunEnd> supervised_end(const fs::path& folder, double start) {
  std::ifstream file(folder / "supervisor.jsonl");
  std::optional<RunEnd> end;
  for (std::string line; std::getline(file, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) continue;
    const auto code = json.find("exit_code"), time = json.find("ended_unix_seconds");
    if (code == json.end() || !code->is_number_integer()) continue;
    if (time == json.end() || !time->is_number() || time->get<double>() < start) continue;
    const auto meaning = json.find("meaning");
    end = RunEnd{code->get<int>(),
                 meaning != json.end() && meaning->is_string() ? meaning->get<std::string>()
                                                               : meaning_of_exit(code->get<int>()),
                 time->get<double>()};
  }
  return end;
}

/// The message of the ranks of the newest start that hung.
std::optional<std::string> hang_of(const fs::path& folder, double start) {
  const fs::path report = folder / "hangs" / "report.txt";
  if (written_at(report) < start) return std::nullopt;
  std::ifstream file(report);
  std::string job, text;
  std::getline(file, job);
  std::getline(file, text);
  return text.empty() ? "a rank hung" : text;
}

void set_end(ListedRun& run, const RunEnd& end) {
  run.exit_code = end.exit_code;
  run.reason = end.reason;
  run.ended_unix_seconds = end.unix_seconds;
  if (end.exit_code == static_cast<int>(ExitCode::kDone)) {
    run.state = RunState::kFinished;
  } else if (end.exit_code == static_cast<int>(ExitCode::kStopped)) {
    run.state = RunState::kStopped;
  } else {
    run.state = end.exit_code > kSignals ? RunState::kKilled : RunState::kFailed;
  }
}

/// Of a run whose newest start has not noted its end, and which nobody holds.
void set_silent_end(ListedRun& run) {
  const double start = written_at(run.folder / "start.json");
  if (const auto hang = hang_of(run.folder, start)) {
    return set_end(run, {static_cast<int>(ExitCode::kHang), *hang,
                         written_at(run.folder / "hangs" / "report.txt")});
  }
  if (const auto end = supervised_end(run.folder, start)) return set_end(run, *end);
  if (run.last && !run.last->num_steps) {
    run.reason = "its version of phalanx did not note how a run ends";
    return;
  }
  run.state = RunState::kKilled;
  run.reason = "it has noted no end: its processes were killed, or their machine failed";
}

void set_state(ListedRun& run) {
  const std::optional<bool> held = FileLock::is_excluded(run.folder / "lock");
  if (held.value_or(false)) {
    run.state = RunState::kRunning;
  } else if (const auto end = read_run_end(run.folder)) {
    set_end(run, *end);
  } else if (!held && fs::exists(run.folder / "lock")) {
    run.reason = "it has noted no end, and the file system has no locks that would show it at work";
  } else {
    set_silent_end(run);
  }
}

ListedRun summary_of(const fs::path& folder) {
  ListedRun run;
  run.folder = folder;
  try {
    run.last = read_last_step(folder / "metrics.jsonl");
    const auto checkpoints = list_checkpoints(folder / "checkpoints");
    if (!checkpoints.empty()) run.checkpoint_step = checkpoints.back().step;
    set_state(run);
  } catch (const std::system_error& error) {
    run.reason = error.what();
  }
  return run;
}

std::string progress_of(const ListedRun& run) {
  if (!run.last) return "no step";
  if (!run.last->num_steps) return std::to_string(run.last->step);
  std::string text = fmt::format("{}/{}", run.last->step, *run.last->num_steps);
  if (run.last->tokens && run.last->num_tokens.value_or(0) > 0) {
    text +=
        fmt::format(" {:.1f} %", 100.0 * double(*run.last->tokens) / double(*run.last->num_tokens));
  }
  return text;
}

/// Since its end, or of a run at work since its last step.
std::string age_of(const ListedRun& run, double now) {
  std::optional<double> since = run.ended_unix_seconds;
  if (!since && run.last) since = run.last->unix_seconds;
  return since ? duration_text(std::max(0.0, now - *since)) + " ago" : "";
}

/// One line of what may be many.
std::string reason_of(const ListedRun& run) {
  const std::string line =
      terminal_text(run.reason.substr(0, run.reason.find('\n')), LineEnds::kEscape);
  if (run.state != RunState::kFailed || !run.exit_code) return line;
  return fmt::format("exit code {}: {}", *run.exit_code, line);
}

}  // namespace

const char* name_of(RunState state) {
  switch (state) {
    case RunState::kRunning:
      return "running";
    case RunState::kFinished:
      return "finished";
    case RunState::kStopped:
      return "stopped";
    case RunState::kFailed:
      return "failed";
    case RunState::kKilled:
      return "killed";
    case RunState::kUnknown:
      break;
  }
  return "unknown";
}

std::vector<ListedRun> list_runs(const fs::path& folder) {
  if (!fs::is_directory(folder)) {
    throw std::invalid_argument(fmt::format("{}: expected a folder of runs, found {}",
                                            folder.string(),
                                            fs::exists(folder) ? "something else" : "nothing"));
  }
  std::vector<ListedRun> runs;
  if (is_run(folder)) return {summary_of(folder)};
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory() && is_run(entry.path())) runs.push_back(summary_of(entry.path()));
  }
  std::sort(runs.begin(), runs.end(),
            [](const ListedRun& a, const ListedRun& b) { return a.folder < b.folder; });
  return runs;
}

std::string run_list_text(const std::vector<ListedRun>& runs, double now) {
  std::vector<std::vector<std::string>> rows{{"run", "state", "step", "loss", "last", "why"}};
  for (const ListedRun& run : runs) {
    const bool has_loss = run.last && run.last->loss;
    rows.push_back({terminal_text(run.folder.filename().string(), LineEnds::kEscape),
                    name_of(run.state), progress_of(run),
                    has_loss ? fmt::format("{:.4f}", *run.last->loss) : "-", age_of(run, now),
                    reason_of(run)});
  }
  std::vector<size_t> widths(rows.front().size(), 0);
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string run_list_json(const ListedRun& run) {
  nlohmann::ordered_json json{{"run", run.folder.string()}, {"state", name_of(run.state)}};
  const auto put = [&json](const char* key, const auto& value) {
    json[key] = nullptr;
    if (value) json[key] = *value;
  };
  const LastStep last = run.last.value_or(LastStep{});
  put("step", run.last ? std::optional(last.step) : std::nullopt);
  put("num_steps", last.num_steps);
  put("tokens", last.tokens);
  put("num_tokens", last.num_tokens);
  put("loss", last.loss);
  json["phase"] = last.phase;
  put("attempt", last.attempt);
  put("last_step_unix_seconds", last.unix_seconds);
  put("ended_unix_seconds", run.ended_unix_seconds);
  put("checkpoint_step", run.checkpoint_step);
  put("exit_code", run.exit_code);
  json["reason"] = run.reason;
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace phalanx
