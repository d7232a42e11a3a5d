#include "launch/experiment/experiment_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <sstream>
#include <utility>

#include "data/file.h"
#include "data/file_lock.h"
#include "launch/counted.h"
#include "launch/restart_rules.h"
#include "parallel/exit_codes.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr double kPollSeconds = 0.1;
// For the processes of an earlier attempt, which end when it does, to let go of a run's folder.
constexpr double kLockSeconds = 30.0;

bool is_free(const fs::path& folder) {
  return !FileLock::is_excluded(folder / "lock").value_or(false);
}

/// What the log says, else what the exit code means.
std::string reason_of(const fs::path& log, int exit_code) {
  const std::string message = last_message(log);
  return fmt::format("exit code {} ({}){}{}", exit_code, meaning_of_exit(exit_code),
                     message.empty() ? "" : ": ", message);
}

}  // namespace

std::vector<std::string> train_command(const ExperimentConfig& experiment, const ExperimentRun& run,
                                       const std::string& program) {
  std::vector<std::string> words;
  std::istringstream launcher(experiment.launcher);
  for (std::string word; launcher >> word;) words.push_back(word);
  words.insert(words.end(), {program, "train", experiment.base});
  words.insert(words.end(), run.overrides.begin(), run.overrides.end());
  words.insert(words.end(), {"--resume", "auto"});
  return words;
}

ExperimentRunner::ExperimentRunner(const ExperimentConfig& experiment,
                                   const std::vector<ExperimentRun>& runs, ExperimentPlace place,
                                   std::vector<RunSlot> slots)
    : experiment_(experiment),
      runs_(runs),
      place_(std::move(place)),
      slots_(std::move(slots)),
      outcomes_(runs.size()) {
  make_folders(place_.folder / "logs");
  for (size_t i = 0; i < slots_.size(); ++i) free_slots_.push_back(slots_.size() - 1 - i);
}

std::vector<ExperimentRunOutcome> ExperimentRunner::run(const std::vector<size_t>& chosen) {
  find_work(chosen);
  const Clock::time_point begin = Clock::now();
  while (!busy_.empty() || (!waiting_.empty() && signals_seen_ == 0)) {
    if (signals_seen_ == 0) start_waiting();
    if (const std::optional<JobSignal> signal = signals_.wait(kPollSeconds)) {
      pass_on(signal->number);
    }
    for (size_t i = busy_.size(); i-- > 0;) {
      const std::optional<int> code = busy_[i].child.ended();
      if (!code) continue;
      end(busy_[i], *code);
      busy_.erase(busy_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    const std::chrono::duration<double> waited = Clock::now() - begin;
    if (busy_.empty() && !waiting_.empty() && waited.count() > kLockSeconds &&
        !is_free(place_.run(runs_[waiting_.front()]))) {
      outcomes_[waiting_.front()] = {ExperimentRunEnd::kFailed,
                                     "another process works in its folder", 0};
      note(fmt::format("{} is left out: another process works in its folder",
                       runs_[waiting_.front()].name));
      waiting_.pop_front();
    }
    show_progress();
  }
  progress_.finish();
  return outcomes_;
}

void ExperimentRunner::find_work(const std::vector<size_t>& chosen) {
  for (const size_t i : chosen) {
    const ExperimentRunState state = state_of(place_, runs_[i]);
    if (state.progress == RunProgress::kDone) {
      outcomes_[i].end = ExperimentRunEnd::kDone;
    } else if (state.progress == RunProgress::kOther) {
      outcomes_[i] = {ExperimentRunEnd::kFailed, state.problem,
                      static_cast<int>(ExitCode::kBadInput)};
      note(fmt::format("{} is left out: {}", runs_[i].name, state.problem));
    } else {
      waiting_.push_back(i);
    }
  }
  const auto done = static_cast<int64_t>(chosen.size() - waiting_.size());
  note(fmt::format("{}, {} to do, {} at a time", counted(int64_t(chosen.size()), "run"),
                   waiting_.size(), slots_.size()) +
       (done > 0 ? fmt::format(" ({} done or left out before)", done) : ""));
}

/// The next runs whose folders are free, one a free slot.
void ExperimentRunner::start_waiting() {
  for (size_t tries = waiting_.size(); tries > 0 && !free_slots_.empty(); --tries) {
    const size_t run = waiting_.front();
    waiting_.pop_front();
    if (!is_free(place_.run(runs_[run]))) {
      waiting_.push_back(run);
      continue;
    }
    const size_t slot = free_slots_.back();
    free_slots_.pop_back();
    start(run, slot);
  }
}

void ExperimentRunner::start(size_t run, size_t slot) {
  ChildPlace where;
  where.cores = slots_[slot].cores;
  where.output = place_.log(runs_[run]).string();
  if (!slots_[slot].gpus.empty()) {
    where.environment = {{"CUDA_VISIBLE_DEVICES", slots_[slot].gpus}};
  }
  const std::string program = fs::read_symlink("/proc/self/exe").string();
  busy_.push_back(
      {run, slot, ChildProcess(train_command(experiment_, runs_[run], program), signals_, where)});
  note(fmt::format("{} starts", runs_[run].name));
}

void ExperimentRunner::end(const Busy& busy, int exit_code) {
  ExperimentRunOutcome& outcome = outcomes_[busy.run];
  outcome.exit_code = exit_code;
  free_slots_.push_back(busy.slot);
  const std::string& name = runs_[busy.run].name;
  // One that was told to stop before it could listen dies of the signal.
  const bool stopped =
      exit_code == static_cast<int>(ExitCode::kStopped) || (signals_seen_ > 0 && exit_code > 128);
  if (exit_code == 0) {
    outcome.end = ExperimentRunEnd::kDone;
    note(fmt::format("{} is done", name));
  } else if (stopped) {
    outcome.end = ExperimentRunEnd::kStopped;
    note(fmt::format("{} has stopped", name));
  } else {
    outcome.end = ExperimentRunEnd::kFailed;
    outcome.reason = reason_of(place_.log(runs_[busy.run]), exit_code);
    note(fmt::format("{} failed: {}", name, outcome.reason));
  }
}

void ExperimentRunner::pass_on(int signal) {
  if (signal == SIGUSR2) {  // save and go on
    for (const Busy& one : busy_) one.child.send(signal);
    return;
  }
  ++signals_seen_;
  const bool at_once = signals_seen_ > 1 && signal != SIGUSR1;
  for (const Busy& one : busy_) one.child.send(at_once ? SIGTERM : SIGUSR1);
  note(at_once ? "told to stop again: the runs are ended without a save"
               : fmt::format("told to stop: {} save and stop; the same command goes on",
                             counted(int64_t(busy_.size()), "run")));
}

void ExperimentRunner::note(const std::string& text) {
  progress_.finish();
  std::fprintf(stderr, "phalanx experiment: %s\n", text.c_str());
  std::fflush(stderr);
}

void ExperimentRunner::show_progress() {
  std::string names;
  for (const Busy& one : busy_) names += (names.empty() ? "" : ", ") + runs_[one.run].name;
  progress_.show(fmt::format("{} waiting; under way: {}", waiting_.size(), names));
}

}  // namespace phalanx
