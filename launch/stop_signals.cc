#include "launch/stop_signals.h"

#include <sys/signalfd.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <initializer_list>
#include <system_error>

namespace phalanx {
namespace {

constexpr long kLookNanoseconds = 100'000'000;

sigset_t set_of(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  return set;
}

void block(const sigset_t& set) {
  const int problem = pthread_sigmask(SIG_BLOCK, &set, nullptr);
  if (problem != 0) throw std::system_error(problem, std::generic_category(), "block signals");
}

bool is_ignored(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

StopSignals::StopSignals() {
  const sigset_t set = set_of({SIGUSR1, SIGUSR2});
  block(set);
  descriptor_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "signalfd");
  if (is_ignored(SIGINT)) return;
  block(set_of({SIGINT}));
  waiter_ = std::jthread([this](const std::stop_token& done) { wait_for_interrupt(done); });
}

StopSignals::~StopSignals() {
  waiter_ = {};  // asks it to end, and waits
  close(descriptor_);
}

void StopSignals::wait_for_interrupt(const std::stop_token& done) {
  const sigset_t set = set_of({SIGINT});
  const timespec look{0, kLookNanoseconds};
  while (!done.stop_requested()) {
    if (sigtimedwait(&set, nullptr, &look) != SIGINT) continue;
    if (!interrupted_.exchange(true)) {
      std::fputs("\nSIGINT: saving and stopping after this step; a second one ends at once\n",
                 stderr);
      continue;
    }
    std::signal(SIGINT, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    raise(SIGINT);
  }
}

Requests StopSignals::poll() {
  Requests requests;
  signalfd_siginfo info;
  while (read(descriptor_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo == SIGUSR1) requests.stop_reason = "SIGUSR1";
    requests.save |= info.ssi_signo == SIGUSR2;
  }
  if (interrupted_ && requests.stop_reason.empty()) requests.stop_reason = "SIGINT";
  requests.stop = !requests.stop_reason.empty();
  return requests;
}

}  // namespace phalanx
