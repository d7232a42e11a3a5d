#pragma once
// Host tensors between MPI processes.
//
// Ranks of one host share a window (mpi_window.h): what has to travel is copied once into the slot
// of its owner, in chunks that stay in the cache, and every rank adds up its own slice, so that
// each element is summed once. Ranks of several hosts send bytes to each other. Both add in rank
// order with the same code, so the two paths, and thread ranks, give equal bits.
//
// Collective over `comm`: the maker. Device pointers are never given to MPI.
// Ownership: the runtime owns `comm`'s descendants and must outlive the communicator; `comm` itself
// stays the caller's.
// Threads: only the thread that made the runtime.
#include <memory>
#include <string>

#include "parallel/communicator.h"
#include "parallel/mpi_runtime.h"

namespace phalanx {

struct MpiOptions {
  enum class Path {
    kByHost,    // a window if all ranks of the group are on one host, messages otherwise
    kMessages,  // always messages
  };
  Path path = Path::kByHost;
  // A rank's share of one chunk; the window holds two for each rank. A quarter of a mebibyte keeps
  // the slots of a few ranks in the second-level caches.
  int64_t slot_bytes = int64_t{256} << 10;
};

std::unique_ptr<Communicator> make_mpi_communicator(MpiRuntime& runtime, MPI_Comm comm,
                                                    const std::string& name,
                                                    const MpiOptions& options = {});

}  // namespace phalanx
