#pragma once
// Short commands whose output is looked at, all at once and within a limit of time. Local; one
// thread. Errors: std::system_error where a process cannot be made.
#include <string>
#include <vector>

namespace phalanx {

struct CapturedProcess {
  bool ended = false;  // false: ended by us, its time was over
  int exit_code = 0;   // 127: no such program; 128 + n: by signal n
  std::string output;  // stdout and stderr together
};

/// Starts all commands, without input, and waits for them; what still runs after `seconds` is
/// killed with everything that it has started.
std::vector<CapturedProcess> run_captured(const std::vector<std::vector<std::string>>& commands,
                                          double seconds);

}  // namespace phalanx
