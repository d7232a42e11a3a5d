#pragma once
// Memory that the ranks of one host share: each rank owns two slots that all others can read, and
// a barrier that needs no system call when the ranks arrive close together.
//
// Collective over `comm`: constructor and meet(). All ranks of `comm` must be on one host.
// Ownership: the window belongs to the runtime, which must outlive this object.
// Threads: one thread a rank. Waiting spins for about a microsecond, then yields the core, then
// sleeps in short naps, so that ranks that outnumber the cores make progress.
// Rule for users: between two uses of the same slot there is a meeting in which the other slot was
// in use, so that slow readers have left the first one.
#include <mpi.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "parallel/mpi_runtime.h"

namespace phalanx {

class MpiWindow {
 public:
  MpiWindow(MpiRuntime& runtime, MPI_Comm comm, int64_t slot_bytes);

  int64_t slot_bytes() const { return slot_bytes_; }
  /// This round's slot of `rank`.
  std::byte* slot(int rank) const { return slots_[rank] + (second_slot_ ? slot_bytes_ : 0); }
  void next_slot() { second_slot_ = !second_slot_; }

  /// Returns when all ranks have called it; what they wrote before is visible afterwards.
  void meet();

 private:
  using Arrivals = std::atomic<uint64_t>;
  static_assert(Arrivals::is_always_lock_free, "a counter shared by processes cannot have a lock");

  int rank_ = 0;
  int64_t slot_bytes_;
  uint64_t round_ = 0;
  bool second_slot_ = false;
  std::vector<Arrivals*> arrivals_;
  std::vector<std::byte*> slots_;
};

}  // namespace phalanx
