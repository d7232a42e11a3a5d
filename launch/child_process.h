#pragma once
// A command as a child of this process. Local; one thread, which has blocked the signals that it
// waits for: the child begins with them as they were before. Errors: std::system_error.
#include <csignal>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace phalanx {

struct JobSignal {
  int number = 0;
  bool from_terminal = false;  // Ctrl-C: every process of the terminal's group has got it
};

/// Blocks SIGCHLD and what a person or a scheduler sends to a job, for as long as it lives.
class JobSignals {
 public:
  JobSignals();
  ~JobSignals();
  JobSignals(const JobSignals&) = delete;
  JobSignals& operator=(const JobSignals&) = delete;

  /// The next signal that has come; nothing within the time (SIGCHLD ends the wait, unsaid).
  std::optional<JobSignal> wait(double seconds) const;
  const sigset_t& before() const { return before_; }

 private:
  sigset_t set_, before_;
};

/// What a child does not share with this process; empty: as here.
struct ChildPlace {
  std::vector<int> cores;                                        // that it may run on
  std::vector<std::pair<std::string, std::string>> environment;  // on top of this process's
  /// A new file for both of its streams. The child then reads nothing and has a process group of
  /// its own, so that Ctrl-C on a terminal is for this process alone.
  std::string output;
};

class ChildProcess {
 public:
  ChildProcess(const std::vector<std::string>& command, const JobSignals& signals,
               const ChildPlace& place = {});

  /// How it ended (128 + n: by signal n); nothing while it runs. Not asked again once it has ended.
  std::optional<int> ended();
  void send(int signal) const;
  /// The same signal, unless it has got it already.
  void pass_on(const JobSignal& signal) const;

 private:
  pid_t pid_;
  bool own_group_;
};

}  // namespace phalanx
