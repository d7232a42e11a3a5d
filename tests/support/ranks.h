#pragma once
// N ranks as threads of the test's process.
//
// run_ranks(n, body) calls body(world) on n threads, each with one intra-op thread, and returns
// when all have ended. The first failure is rethrown as RankFailure, with its rank in the message
// and the original exception nested; ranks that wait for the failed one are woken up, so nothing
// hangs. A rank that returns early (a failed ASSERT_*) counts as having left.
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <exception>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "parallel/thread_communicator.h"

namespace phalanx {

class RankFailure : public std::runtime_error {
 public:
  RankFailure(int rank_in, const std::string& text, std::exception_ptr cause_in)
      : std::runtime_error(text), rank(rank_in), cause(std::move(cause_in)) {}
  int rank;
  std::exception_ptr cause;
};

inline void run_ranks(int size, const std::function<void(Communicator&)>& body) {
  ThreadGroup group(size);
  std::mutex mutex;
  int failed_rank = -1;
  std::exception_ptr failure;
  const auto fail = [&](int rank, const char* what) {
    {
      const std::lock_guard lock(mutex);
      if (failed_rank < 0) {
        failed_rank = rank;
        failure = std::current_exception();
      }
    }
    group.poison(fmt::format("rank {} failed: {}", rank, what));
  };
  const auto run = [&](int rank) {
    try {
      at::set_num_threads(1);
      const std::unique_ptr<Communicator> world = group.communicator(rank);
      body(*world);
      group.leave(rank);
    } catch (const std::exception& error) {
      fail(rank, error.what());
    } catch (...) {
      fail(rank, "an exception of unknown type");
    }
  };
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) threads.emplace_back(run, rank);
  for (std::thread& thread : threads) thread.join();
  if (!failure) return;
  std::string what = "an exception of unknown type";
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    what = error.what();
  } catch (...) {
  }
  throw RankFailure(failed_rank, fmt::format("rank {} of {}: {}", failed_rank, size, what),
                    failure);
}

}  // namespace phalanx
