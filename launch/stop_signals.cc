#include "launch/stop_signals.h"

#include <sys/signalfd.h>
#include <unistd.h>
#include <csignal>
#include <system_error>

namespace phalanx {

StopSignals::StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGUSR2);
  const int blocked = pthread_sigmask(SIG_BLOCK, &set, nullptr);
  if (blocked != 0) throw std::system_error(blocked, std::generic_category(), "block SIGUSR1");
  descriptor_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "signalfd");
}

StopSignals::~StopSignals() { close(descriptor_); }

Requests StopSignals::poll() {
  Requests requests;
  signalfd_siginfo info;
  while (read(descriptor_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    requests.stop |= info.ssi_signo == SIGUSR1;
    requests.save |= info.ssi_signo == SIGUSR2;
  }
  return requests;
}

}  // namespace phalanx
