#include "launch/supervisor.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "data/file.h"
#include "data/file_lock.h"
#include "launch/counted.h"
#include "launch/hang_files.h"
#include "parallel/exit_codes.h"
#include "parallel/hang_report.h"
#include "trainer/metrics/progress_text.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr double kPollSeconds = 0.1;
// For a launcher to end by itself once its ranks have reported a hang, and then once it was told.
constexpr double kHungSeconds = 4.0, kTermSeconds = 2.0;
// For the processes of an attempt that died to let go of the run's folder.
constexpr double kLockSeconds = 30.0;

void say(const std::string& text) {
  std::fprintf(stderr, "phalanx supervise: %s\n", text.c_str());
  std::fflush(stderr);
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

int64_t count_lines(const fs::path& path) {
  std::ifstream file(path);
  int64_t lines = 0;
  for (std::string line; std::getline(file, line);) ++lines;
  return lines;
}

bool is_free(const fs::path& run_folder) {
  return !FileLock::is_excluded(run_folder / "lock").value_or(false);
}

bool asks_to_stop(int signal) { return signal != SIGUSR2; }

}  // namespace

Supervisor::Supervisor(std::vector<std::string> command, fs::path run_folder,
                       const RestartRules& rules)
    : command_(std::move(command)), folder_(std::move(run_folder)), rules_(rules) {
  make_folders(folder_);
  attempt_ = count_lines(folder_ / "supervisor.jsonl");
  gather_notes();  // of an attempt that nobody has supervised
}

int Supervisor::run() {
  for (;;) {
    ++attempt_;
    AttemptWatch watch(folder_);
    const AttemptEnd end = run_attempt(watch);
    account_.add(watch.steps());
    gather_notes();
    failures_ = !is_failure(end) || end.new_checkpoint ? 0 : failures_ + 1;
    // A failure with a new checkpoint begins a row of its own.
    if (is_failure(end) && failures_ == 0) failures_ = 1;
    const Judgement next = judge(end, failures_, restarts_, rules_);
    record(watch, end);
    say_end(watch, end, next);
    if (!next.restart || !wait_before_restart()) {
      say_account();
      return end.exit_code;
    }
    ++restarts_;
  }
}

AttemptEnd Supervisor::run_attempt(AttemptWatch& watch) {
  ChildProcess child(command_, signals_);
  AttemptEnd end;
  std::optional<Clock::time_point> hung;
  for (;;) {
    if (const std::optional<JobSignal> signal = signals_.wait(kPollSeconds)) {
      stop_asked_ |= asks_to_stop(signal->number);
      child.pass_on(*signal);
    }
    const std::optional<int> code = child.ended();
    watch.look();
    if (code) {
      end.exit_code = *code;
      break;
    }
    if (!hung && watch.has_hung()) hung = Clock::now();
    if (hung && seconds_since(*hung) > kHungSeconds) {
      end_hung(child);
      end.exit_code = static_cast<int>(ExitCode::kHang);
      break;
    }
  }
  end.stop_asked = stop_asked_;
  end.new_checkpoint = watch.has_new_checkpoint();
  return end;
}

/// A launcher that has lost its ranks, or the way to them, may wait for ever.
void Supervisor::end_hung(ChildProcess& child) {
  child.send(SIGTERM);
  const Clock::time_point told = Clock::now();
  bool killed = false;
  while (!child.ended()) {
    const std::optional<JobSignal> signal = signals_.wait(kPollSeconds);
    stop_asked_ |= signal && asks_to_stop(signal->number);
    if (killed || seconds_since(told) < kTermSeconds) continue;
    child.send(SIGKILL);
    killed = true;
  }
}

/// False: told to stop meanwhile.
bool Supervisor::wait_before_restart() {
  const Clock::time_point begin = Clock::now();
  const double delay = restart_delay_seconds(failures_ - 1);
  while (seconds_since(begin) < delay ||
         (!is_free(folder_) && seconds_since(begin) < delay + kLockSeconds)) {
    const std::optional<JobSignal> signal = signals_.wait(kPollSeconds);
    if (!signal || !asks_to_stop(signal->number)) continue;
    say("told to stop, no further attempt");
    return false;
  }
  return true;
}

void Supervisor::gather_notes() const {
  const fs::path hangs = folder_ / "hangs";
  const std::vector<HangNote> notes = read_hang_notes(hangs, "");
  if (notes.empty()) return;
  const fs::path gathered = hangs / fmt::format("attempt-{}", attempt_);
  make_folders(gathered);
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(hangs)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  for (const fs::path& file : files) fs::rename(file, gathered / file.filename());
  const HangNote& first = notes.front();
  std::ofstream(gathered / "report.txt")
      << hang_report(first.rank, first.silent_seconds, states_of(notes)) << "\n";
  say("notes and stacks of the hang are in " + gathered.string());
}

void Supervisor::record(const AttemptWatch& watch, const AttemptEnd& end) const {
  nlohmann::ordered_json line;
  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  line["attempt"] = attempt_;
  line["ended_unix_seconds"] = now;
  line["seconds"] = watch.seconds();
  line["exit_code"] = end.exit_code;
  line["meaning"] = meaning_of(end);
  line["start_seconds"] = watch.seconds_to_first_step();
  const int64_t saved = watch.checkpoint_step().value_or(0);
  if (!watch.steps().empty()) {
    line["first_step"] = watch.steps().first();
    line["last_step"] = watch.steps().last();
    line["train_seconds"] = watch.steps().seconds();
    if (watch.steps().passed_over() > 0) line["steps_passed_over"] = watch.steps().passed_over();
    if (is_failure(end)) {
      line["detect_seconds"] = watch.seconds_since_last_step();
      line["steps_lost"] = std::max<int64_t>(0, watch.steps().last() - saved);
    }
  }
  line["checkpoint_step"] = saved;
  const std::string text = line.dump() + "\n";
  File::open_append(folder_ / "supervisor.jsonl")
      .write_all(std::as_bytes(std::span(text.data(), text.size())));
}

void Supervisor::say_end(const AttemptWatch& watch, const AttemptEnd& end,
                         const Judgement& next) const {
  std::string text = fmt::format("attempt {} ended after {} with exit code {} ({})", attempt_,
                                 duration_text(watch.seconds()), end.exit_code, meaning_of(end));
  if (!watch.steps().empty()) {
    text += fmt::format(", step {} done", watch.steps().last());
  }
  if (is_failure(end)) {
    const auto saved = watch.checkpoint_step();
    text += saved ? fmt::format(", step {} saved", *saved) : ", nothing saved";
  }
  if (next.restart) {
    text += "; restarting";
  } else if (!next.reason.empty()) {
    text += "; no restart: " + next.reason;
  }
  say(text);
}

void Supervisor::say_account() const {
  const double seconds = seconds_since(start_);
  std::string text =
      fmt::format("{} in {}, {} done, {} repeated", counted(restarts_ + 1, "attempt"),
                  duration_text(seconds), counted(account_.done(), "step"), account_.repeated());
  if (account_.passed_over() > 0) {
    text += fmt::format(", {} passed over by roll-backs", account_.passed_over());
  }
  say(text + fmt::format("; {:.1f} % of the time went into steps that count (ETTR)",
                         100 * account_.useful_seconds() / seconds));
}

}  // namespace phalanx
