#pragma once
// Runs the command of a training again and again until it is done: restarts what died or hung,
// stops what would only fail again, and keeps account.
//
// Local; one thread. Signals that it gets go on to the command; SIGUSR1, SIGTERM, SIGINT and SIGHUP
// also mean that there is no further attempt. Each attempt adds a line to RUN/supervisor.jsonl, and
// the notes of ranks that hung are put together in RUN/hangs/attempt-N/. Prints to stderr.
// Errors: std::system_error.
#include <filesystem>
#include <string>
#include <vector>

#include "launch/attempt_watch.h"
#include "launch/child_process.h"
#include "launch/restart_rules.h"
#include "launch/step_account.h"

namespace phalanx {

class Supervisor {
 public:
  Supervisor(std::vector<std::string> command, std::filesystem::path run_folder,
             const RestartRules& rules);

  /// The exit code of the last attempt.
  int run();

 private:
  AttemptEnd run_attempt(AttemptWatch& watch);
  void end_hung(ChildProcess& child);
  bool wait_before_restart();
  void gather_notes() const;
  void record(const AttemptWatch& watch, const AttemptEnd& end) const;
  void say_end(const AttemptWatch& watch, const AttemptEnd& end, const Judgement& next) const;
  void say_account() const;

  std::vector<std::string> command_;
  std::filesystem::path folder_;
  RestartRules rules_;
  JobSignals signals_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  int64_t attempt_ = 0;  // in the ledger, from 1
  int64_t restarts_ = 0, failures_ = 0;
  StepAccount account_;
  bool stop_asked_ = false;
};

}  // namespace phalanx
