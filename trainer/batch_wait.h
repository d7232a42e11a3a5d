#pragma once
// The wait for the next batch, which may be long where data come from a store: whoever asks this
// rank to stop meanwhile is heard. Local; the caller's thread. Times in seconds.
#include <exception>
#include <functional>
#include <optional>

#include "data/mixture/prefetcher.h"
#include "trainer/run_requests.h"

namespace phalanx {

struct AwaitedBatch {
  std::optional<Batch> batch;  // nothing: it failed, or a stop was asked for before there was one
  std::exception_ptr failure;
  Requests asked;
};

/// `ask` is called once there is a batch, and now and then before.
[[nodiscard]] AwaitedBatch await_batch(Prefetcher& prefetcher,
                                       const std::function<Requests(DataWait wait)>& ask);

}  // namespace phalanx
