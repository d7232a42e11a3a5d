#include "launch/child_process.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <system_error>

namespace phalanx {
namespace {

constexpr int kNotFound = 127;  // as in a shell
constexpr int kSignals = 128;

/// In the child: it has one thread, so that it may still allocate. False: it cannot be there.
bool go_to(const ChildPlace& place) {
  if (!place.cores.empty()) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int core : place.cores) CPU_SET(static_cast<size_t>(core), &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) return false;
  }
  for (const auto& [name, value] : place.environment) setenv(name.c_str(), value.c_str(), 1);
  if (place.output.empty()) return true;
  setpgid(0, 0);
  const int input = open("/dev/null", O_RDONLY);
  const int output = open(place.output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (input < 0 || output < 0) return false;
  return dup2(input, 0) == 0 && dup2(output, 1) == 1 && dup2(output, 2) == 2;
}

}  // namespace

JobSignals::JobSignals() {
  sigemptyset(&set_);
  for (const int signal : {SIGCHLD, SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGHUP}) {
    sigaddset(&set_, signal);
  }
  sigprocmask(SIG_BLOCK, &set_, &before_);
}

JobSignals::~JobSignals() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

std::optional<JobSignal> JobSignals::wait(double seconds) const {
  const timespec limit{static_cast<time_t>(seconds),
                       static_cast<long>((seconds - std::floor(seconds)) * 1e9)};
  siginfo_t info{};
  const int signal = sigtimedwait(&set_, &info, &limit);
  if (signal <= 0 || signal == SIGCHLD) return std::nullopt;
  return JobSignal{signal, info.si_code == SI_KERNEL};
}

ChildProcess::ChildProcess(const std::vector<std::string>& command, const JobSignals& signals,
                           const ChildPlace& place)
    : own_group_(!place.output.empty()) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  pid_ = fork();
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid_ > 0) return;
  // Without its supervisor the job ends, as it does without its launcher. One thread makes it.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  sigprocmask(SIG_SETMASK, &signals.before(), nullptr);
  if (!go_to(place)) _exit(kNotFound);
  execvp(words.front(), words.data());
  _exit(kNotFound);
}

std::optional<int> ChildProcess::ended() {
  int status = 0;
  const pid_t found = waitpid(pid_, &status, WNOHANG);
  if (found == 0) return std::nullopt;
  if (found < 0) throw std::system_error(errno, std::generic_category(), "waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : kSignals + WTERMSIG(status);
}

void ChildProcess::send(int signal) const { kill(pid_, signal); }

void ChildProcess::pass_on(const JobSignal& signal) const {
  if (own_group_ || !signal.from_terminal) send(signal.number);
}

}  // namespace phalanx
