// Run by hang_test.py under mpirun: ranks do a list of collectives that follows from SEED, and rank
// WRONG leaves out number SKIPPED (from 1). Usage: skip_collective SEED WRONG SKIPPED FOLDER
#include <ATen/ATen.h>

#include <cstdlib>
#include <random>
#include <string>
#include <utility>

#include "launch/hang_guard.h"
#include "parallel/session.h"

namespace phalanx {
namespace {

constexpr int kCalls = 60;

void call(Communicator& group, unsigned which, int64_t count) {
  const at::Tensor piece = at::zeros({count}, at::kFloat);
  const at::Tensor whole = at::zeros({count * group.size()}, at::kFloat);
  switch (which) {
    case 0:
      return group.all_reduce(piece, ReduceOp::kSum)->wait();
    case 1:
      return group.reduce_scatter(piece, whole)->wait();
    case 2:
      return group.all_gather(whole, piece)->wait();
    default:
      return group.barrier();
  }
}

int run(char** argv) {
  HangGuard guard;
  SessionOptions options;
  options.recorder = &guard.recorder();
  Session session(
      [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        return value ? std::optional<std::string>(value) : std::nullopt;
      },
      options);
  guard.meet(session);
  guard.set_folder(argv[4]);
  WatchdogLimits limits;
  limits.train = 1.5;
  guard.set_limits(limits);
  guard.recorder().enter(RunPhase::kTrain);
  guard.recorder().begin_step(1);
  guard.recorder().end_step();
  const auto group = session.control().split(0, session.rank(), "group");
  std::mt19937 numbers(static_cast<unsigned>(std::atoi(argv[1])));
  for (int number = 1; number <= kCalls; ++number) {
    const unsigned which = numbers() % 4;
    const int64_t count = 1 + numbers() % 100'000;
    if (session.rank() == std::atoi(argv[2]) && number == std::atoi(argv[3])) continue;
    call(*group, which, count);
  }
  session.control().barrier();
  return 0;
}

}  // namespace
}  // namespace phalanx

int main(int argc, char** argv) { return argc == 5 ? phalanx::run(argv) : 2; }
