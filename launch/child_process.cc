#include "launch/child_process.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <system_error>

namespace phalanx {
namespace {

constexpr int kNotFound = 127;  // as in a shell
constexpr int kSignals = 128;

}  // namespace

JobSignals::JobSignals() {
  sigemptyset(&set_);
  for (const int signal : {SIGCHLD, SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGHUP}) {
    sigaddset(&set_, signal);
  }
  sigprocmask(SIG_BLOCK, &set_, &before_);
}

JobSignals::~JobSignals() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

std::optional<int> JobSignals::wait(double seconds) const {
  const timespec limit{static_cast<time_t>(seconds),
                       static_cast<long>((seconds - std::floor(seconds)) * 1e9)};
  const int signal = sigtimedwait(&set_, nullptr, &limit);
  if (signal <= 0 || signal == SIGCHLD) return std::nullopt;
  return signal;
}

ChildProcess::ChildProcess(const std::vector<std::string>& command, const JobSignals& signals) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  pid_ = fork();
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid_ > 0) return;
  // Without its supervisor the job ends, as it does without its launcher. One thread makes it.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  sigprocmask(SIG_SETMASK, &signals.before(), nullptr);
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

}  // namespace phalanx
