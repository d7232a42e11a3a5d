#include "trainer/batch_wait.h"

#include <utility>

namespace phalanx {
namespace {

constexpr double kAskAgain = 0.1;

}  // namespace

AwaitedBatch await_batch(Prefetcher& prefetcher, const std::function<Requests(DataWait)>& ask) {
  AwaitedBatch awaited;
  try {
    while (!awaited.batch && !awaited.asked.stop) {
      awaited.batch = prefetcher.next_within(kAskAgain);
      Requests now = ask(awaited.batch ? DataWait::kNone : DataWait::kWaiting);
      now.save |= awaited.asked.save;
      awaited.asked = std::move(now);
    }
  } catch (...) {
    awaited.failure = std::current_exception();
  }
  return awaited;
}

}  // namespace phalanx
