#include "launch/captured_process.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <system_error>
#include <thread>

namespace phalanx {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPoll{10};
constexpr int kNotFound = 127, kSignals = 128;  // as in a shell

struct Running {
  pid_t pid = -1;
  int output = -1;  // a file in memory
  CapturedProcess result;
};

[[noreturn]] void become(const std::vector<std::string>& command, int output) {
  setpgid(0, 0);
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  dup2(nothing, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  execvp(words.front(), words.data());
  _exit(kNotFound);
}

Running start(const std::vector<std::string>& command) {
  Running running;
  running.output = memfd_create("output", MFD_CLOEXEC);
  if (running.output < 0) {
    throw std::system_error(errno, std::generic_category(), "memfd_create");
  }
  running.pid = fork();
  if (running.pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (running.pid == 0) become(command, running.output);
  return running;
}

bool look(Running& running) {
  int status = 0;
  if (waitpid(running.pid, &status, WNOHANG) != running.pid) return false;
  running.result.ended = true;
  running.result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : kSignals + WTERMSIG(status);
  return true;
}

void finish(Running& running) {
  if (!running.result.ended) {
    kill(-running.pid, SIGKILL);
    kill(running.pid, SIGKILL);  // before it had a group of its own
    waitpid(running.pid, nullptr, 0);
  }
  char buffer[4096];
  off_t offset = 0;
  for (;;) {
    const ssize_t got = pread(running.output, buffer, sizeof buffer, offset);
    if (got <= 0) break;
    running.result.output.append(buffer, static_cast<size_t>(got));
    offset += got;
  }
  close(running.output);
}

}  // namespace

std::vector<CapturedProcess> run_captured(const std::vector<std::vector<std::string>>& commands,
                                          double seconds) {
  std::vector<Running> all;
  for (const std::vector<std::string>& command : commands) all.push_back(start(command));
  const Clock::time_point begin = Clock::now();
  for (;;) {
    size_t left = 0;
    for (Running& running : all) left += running.result.ended || look(running) ? 0 : 1;
    const double passed = std::chrono::duration<double>(Clock::now() - begin).count();
    if (left == 0 || passed > seconds) break;
    std::this_thread::sleep_for(kPoll);
  }
  std::vector<CapturedProcess> results;
  for (Running& running : all) {
    finish(running);
    results.push_back(running.result);
  }
  return results;
}

}  // namespace phalanx
