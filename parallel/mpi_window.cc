#include "parallel/mpi_window.h"

#include <sched.h>
#include <time.h>

#include <new>

namespace phalanx {
namespace {

// Two cache lines: the prefetcher fetches pairs, and a counter must not share its line.
constexpr int64_t kHeaderBytes = 128;
constexpr int64_t kPage = 4096;

constexpr int kSpins = 1000;
constexpr int kYields = 20000;
constexpr long kNapNanoseconds = 50'000;

int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

void wait_for(const std::atomic<uint64_t>& arrivals, uint64_t round) {
  const auto here = [&] { return arrivals.load(std::memory_order_acquire) >= round; };
  for (int i = 0; i < kSpins; ++i) {
    if (here()) return;
  }
  for (int i = 0; i < kYields; ++i) {
    sched_yield();
    if (here()) return;
  }
  const timespec nap{0, kNapNanoseconds};
  while (!here()) nanosleep(&nap, nullptr);
}

}  // namespace

MpiWindow::MpiWindow(MpiRuntime& runtime, MPI_Comm comm, int64_t slot_bytes)
    : slot_bytes_(round_up(slot_bytes, kHeaderBytes)) {
  int size = 0;
  mpi_check(MPI_Comm_rank(comm, &rank_), "MPI_Comm_rank");
  mpi_check(MPI_Comm_size(comm, &size), "MPI_Comm_size");
  const MPI_Aint bytes = round_up(2 * kHeaderBytes + 2 * slot_bytes_, kPage);
  void* base = nullptr;
  MPI_Win window = MPI_WIN_NULL;
  mpi_check(MPI_Win_allocate_shared(bytes, 1, MPI_INFO_NULL, comm, &base, &window),
            "MPI_Win_allocate_shared");
  mpi_check(MPI_Win_lock_all(MPI_MODE_NOCHECK, window), "MPI_Win_lock_all");
  runtime.keep_window(window);
  for (int peer = 0; peer < size; ++peer) {
    MPI_Aint found_bytes = 0;
    int unit = 0;
    void* start = nullptr;
    mpi_check(MPI_Win_shared_query(window, peer, &found_bytes, &unit, &start),
              "MPI_Win_shared_query");
    // Every process maps the window at a page boundary, so all align to the same byte.
    const int64_t address = reinterpret_cast<int64_t>(start);
    std::byte* header =
        static_cast<std::byte*>(start) + (round_up(address, kHeaderBytes) - address);
    arrivals_.push_back(reinterpret_cast<Arrivals*>(header));
    slots_.push_back(header + kHeaderBytes);
  }
  new (arrivals_[rank_]) Arrivals(0);
  mpi_check(MPI_Barrier(comm), "MPI_Barrier");
}

void MpiWindow::meet() {
  ++round_;
  arrivals_[rank_]->store(round_, std::memory_order_release);
  for (const Arrivals* peer : arrivals_) wait_for(*peer, round_);
}

}  // namespace phalanx
