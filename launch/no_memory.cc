#include "launch/no_memory.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>

#include "launch/environment.h"
#include "parallel/exit_codes.h"
#include "parallel/launcher.h"

namespace phalanx {
namespace {

/// Of a launch of several; -1: a lone process, or no memory even to look.
int rank_of_many() noexcept {
  try {
    const LaunchInfo launch = detect_launch(environment);
    return launch.size == 1 ? -1 : launch.rank;
  } catch (const std::exception&) {
    return -1;
  }
}

[[noreturn]] void speak_and_end(const std::bad_alloc& error) {
  std::fflush(stdout);
  const int rank = rank_of_many();
  if (rank < 0) {
    std::fprintf(stderr, "phalanx: error: out of memory: %s\n", error.what());
  } else {
    std::fprintf(stderr, "phalanx: error on rank %d: out of memory: %s\n", rank, error.what());
  }
  ::_exit(static_cast<int>(ExitCode::kBadInput));
}

[[noreturn]] void end_process() {
  try {
    if (const std::exception_ptr error = std::current_exception()) std::rethrow_exception(error);
  } catch (const std::bad_alloc& error) {
    speak_and_end(error);
  } catch (...) {  // the library names it
  }
  __gnu_cxx::__verbose_terminate_handler();
  std::abort();
}

}  // namespace

void speak_when_memory_runs_out() { std::set_terminate(end_process); }

}  // namespace phalanx
