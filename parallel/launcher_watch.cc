#include "parallel/launcher_watch.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>

namespace phalanx {
namespace {

// As /proc shows them, at most 15 characters.
constexpr const char* kLaunchers[] = {"mpirun",   "mpiexec",         "mpiexec.hydra", "orterun",
                                      "orted",    "prterun",         "prted",         "prte",
                                      "torchrun", "hydra_pmi_proxy", "slurmstepd"};

struct Process {
  std::string name;
  int parent = 0;
  uint64_t started = 0;
};

std::optional<Process> process_of(int pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(file, text);
  const size_t open = text.find('('), close = text.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return std::nullopt;
  Process process{text.substr(open + 1, close - open - 1)};
  std::istringstream rest(text.substr(close + 1));
  std::string field;
  char state = 0;
  rest >> state >> process.parent;
  if (state == 'Z' || state == 'X') return std::nullopt;
  for (int i = 5; i < 22; ++i) rest >> field;  // proc(5): the start is field 22
  rest >> process.started;
  return process;
}

// Open MPI's, one job each. Slurm's and torchrun's look after themselves.
constexpr const char* kOfOneJob[] = {"mpirun", "mpiexec", "orterun", "orted"};

template <size_t N>
bool is_one_of(const char* const (&names)[N], const std::string& name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

}  // namespace

LauncherWatch::LauncherWatch() {
  std::vector<Ancestor> chain;
  for (int pid = getppid(); pid > 1;) {
    const std::optional<Process> process = process_of(pid);
    if (!process) break;
    chain.push_back({pid, process->started});
    if (is_one_of(kLaunchers, process->name)) {
      chain_ = chain;
      if (is_one_of(kOfOneJob, process->name)) launcher_ = process->name;
      break;
    }
    pid = process->parent;
  }
}

void LauncherWatch::end_launcher_after(int daemon_seconds, int mpirun_seconds) const {
  if (launcher_.empty()) return;
  const int seconds = launcher_ == "orted" ? daemon_seconds : mpirun_seconds;
  // A descriptor of the process, since its number may be another's by then.
  const int launcher = static_cast<int>(syscall(SYS_pidfd_open, chain_.back().pid, 0));
  // The system call, not fork(): what a thread that hangs has locked stays locked in the child,
  // which therefore makes nothing but system calls.
  if (launcher < 0 || syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr) != 0) return;
  setsid();
  prctl(PR_SET_NAME, "end-launcher");
  if (launcher > 0) syscall(SYS_close_range, 0u, static_cast<unsigned>(launcher) - 1, 0u);
  syscall(SYS_close_range, static_cast<unsigned>(launcher) + 1, ~0u, 0u);
  pollfd ended{launcher, POLLIN, 0};
  if (poll(&ended, 1, seconds * 1000) == 0) {
    syscall(SYS_pidfd_send_signal, launcher, SIGKILL, nullptr, 0);
  }
  syscall(SYS_exit_group, 0);
}

bool LauncherWatch::is_lost() const {
  return std::any_of(chain_.begin(), chain_.end(), [](const Ancestor& ancestor) {
    const std::optional<Process> process = process_of(ancestor.pid);
    return !process || process->started != ancestor.started;
  });
}

}  // namespace phalanx
