#pragma once
// Runs an experiment: each run as a process of its own, so many at one time, on cores and GPUs of
// its own, until all are done or have failed.
//
// Local; one thread. A run that is done is left alone, one that was begun goes on at its newest
// checkpoint. SIGTERM, SIGINT, SIGHUP and SIGUSR1 let the runs under way save and stop; a second
// one of the first three ends them at once. If this process is killed, they end with it. A run that
// fails is noted, and the others go on. Prints to stderr. Errors: std::system_error.
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "launch/child_process.h"
#include "launch/commands/progress_line.h"
#include "launch/experiment/run_slots.h"
#include "launch/experiment/run_state.h"

namespace phalanx {

enum class ExperimentRunEnd { kDone, kStopped, kFailed, kNotStarted };

struct ExperimentRunOutcome {
  ExperimentRunEnd end = ExperimentRunEnd::kNotStarted;
  std::string reason;  // of kFailed
  int exit_code = 0;
};

class ExperimentRunner {
 public:
  ExperimentRunner(const ExperimentConfig& experiment, const std::vector<ExperimentRun>& runs,
                   ExperimentPlace place, std::vector<RunSlot> slots);

  /// By run. `chosen` are the indices of those to run.
  std::vector<ExperimentRunOutcome> run(const std::vector<size_t>& chosen);

 private:
  struct Busy {
    size_t run = 0;
    size_t slot = 0;
    ChildProcess child;
  };

  void find_work(const std::vector<size_t>& chosen);
  void start_waiting();
  void start(size_t run, size_t slot);
  void end(const Busy& busy, int exit_code);
  void pass_on(int signal);
  void note(const std::string& text);
  void show_progress();

  const ExperimentConfig& experiment_;
  const std::vector<ExperimentRun>& runs_;
  ExperimentPlace place_;
  std::vector<RunSlot> slots_;
  JobSignals signals_;
  ProgressLine progress_;
  std::deque<size_t> waiting_;
  std::vector<Busy> busy_;
  std::vector<size_t> free_slots_;
  std::vector<ExperimentRunOutcome> outcomes_;
  int signals_seen_ = 0;
};

/// The words that train `run`.
[[nodiscard]] std::vector<std::string> train_command(const ExperimentConfig& experiment,
                                                     const ExperimentRun& run,
                                                     const std::string& program);

}  // namespace phalanx
