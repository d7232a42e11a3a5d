#pragma once
// What the end of an attempt means, and whether another is worth it. Pure.
#include <cstdint>
#include <string>

namespace phalanx {

/// How a command ended; a process that a signal killed has 128 + its number, as in a shell.
struct AttemptEnd {
  int exit_code = 0;
  bool stop_asked = false;      // the supervisor itself was told to stop
  bool new_checkpoint = false;  // one was saved in the attempt
};

struct RestartRules {
  bool restart_stopped = false;  // also after exit code 75
  int64_t max_failures = 3;      // in a row, without a new checkpoint in between
  int64_t max_restarts = 0;      // 0: any number
};

/// "finished", "a rank hung", "a process was killed by signal 9", ...
std::string meaning_of_exit(int exit_code);
/// A command that was passed a signal to stop and ended without having saved, as mpirun does at
/// Ctrl-C, is no failure of its own whatever its code says.
std::string meaning_of(const AttemptEnd& end);

struct Judgement {
  bool restart = false;
  std::string reason;  // why not; empty: it is done or restarted
};

/// `failures` counts this end too if it is one: attempts in a row that failed without saving.
/// Ends in a row without a new checkpoint for want of a service, as a store: an outage may last.
inline constexpr int64_t kMaxOutages = 60;

Judgement judge(const AttemptEnd& end, int64_t failures, int64_t restarts,
                const RestartRules& rules);

/// Did the attempt come to grief, as opposed to being done or stopped?
bool is_failure(const AttemptEnd& end);

/// Before the next attempt, in seconds: at once after progress, longer and longer without.
double restart_delay_seconds(int64_t failures);

}  // namespace phalanx
