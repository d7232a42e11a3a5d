#include "parallel/thread_stacks.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

#include "parallel/symbol_table.h"

namespace phalanx {
namespace {

constexpr int kFrames = 48;
constexpr int kHandlerFrames = 2;  // the handler's own, and the kernel's return from it
constexpr int kWaitMilliseconds = 500;

/// What a thread is asked for. Never freed: a late answer must find its place.
struct Request {
  pid_t thread = 0;
  std::array<void*, kFrames> frames{};
  int count = 0;
  std::atomic<bool> done{false};
};

int stack_signal() { return SIGRTMIN + 6; }

void answer(int, siginfo_t* info, void*) {
  auto* request = static_cast<Request*>(info->si_value.sival_ptr);
  request->count = backtrace(request->frames.data(), kFrames);
  request->done.store(true, std::memory_order_release);
}

std::string first_line(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::vector<pid_t> other_threads() {
  std::vector<pid_t> threads;
  std::error_code unknown;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", unknown)) {
    const pid_t thread = std::atoi(entry.path().filename().c_str());
    if (thread != static_cast<pid_t>(syscall(SYS_gettid))) threads.push_back(thread);
  }
  return threads;
}

/// A thread that lets no signal through, as the watchdog, would be waited for in vain.
bool is_deaf(pid_t thread) {
  std::ifstream file(fmt::format("/proc/self/task/{}/status", thread));
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("SigBlk:")) continue;
    const uint64_t blocked = std::strtoull(line.c_str() + 7, nullptr, 16);
    return (blocked >> (stack_signal() - 1) & 1) != 0;
  }
  return true;  // it has ended
}

bool ask(Request& request) {
  siginfo_t info{};
  info.si_signo = stack_signal();
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_ptr = &request;
  return syscall(SYS_rt_tgsigqueueinfo, getpid(), request.thread, stack_signal(), &info) == 0;
}

std::string demangled(const char* name) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(name, nullptr, nullptr, &status), &std::free);
  return status == 0 ? text.get() : name;
}

std::string frame_text(void* address, const SymbolTable& program) {
  Dl_info found{};
  if (dladdr(address, &found) == 0) return fmt::format("{}", address);
  const auto offset =
      reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(found.dli_fbase);
  std::string name = found.dli_sname ? found.dli_sname : "";
  if (name.empty()) name = program.name_at(found.dli_fbase, offset);
  const char* slash = std::strrchr(found.dli_fname, '/');
  return fmt::format("{}  ({}+{:#x})", name.empty() ? "?" : demangled(name.c_str()),
                     slash ? slash + 1 : found.dli_fname, offset);
}

std::string thread_text(const Request& request, const SymbolTable& program) {
  const std::filesystem::path task = fmt::format("/proc/self/task/{}", request.thread);
  std::string text = fmt::format("thread {}{}  {}  waits in: {}\n", request.thread,
                                 request.thread == getpid() ? " (main)" : "",
                                 first_line(task / "comm"), first_line(task / "wchan"));
  if (!request.done.load(std::memory_order_acquire)) return text + "  no answer\n";
  for (int i = kHandlerFrames; i < request.count; ++i) {
    text += fmt::format("  #{} {}\n", i - kHandlerFrames,
                        frame_text(request.frames[size_t(i)], program));
  }
  return text;
}

}  // namespace

void prepare_thread_stacks() {
  void* frame = nullptr;
  backtrace(&frame, 1);
}

std::string thread_stacks() {
  struct sigaction action {};
  action.sa_sigaction = answer;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigaction(stack_signal(), &action, nullptr);
  std::vector<Request*> requests;
  std::vector<const Request*> asked;
  for (const pid_t thread : other_threads()) {
    requests.push_back(new Request);
    requests.back()->thread = thread;
    if (!is_deaf(thread) && ask(*requests.back())) asked.push_back(requests.back());
  }
  const timespec millisecond{0, 1'000'000};
  for (int waited = 0; waited < kWaitMilliseconds; ++waited) {
    bool all = true;
    for (const Request* request : asked) all &= request->done.load(std::memory_order_acquire);
    if (all) break;
    nanosleep(&millisecond, nullptr);
  }
  const SymbolTable program;
  std::string text;
  for (const Request* request : requests) text += thread_text(*request, program);
  return text;
}

}  // namespace phalanx
