#pragma once
// Host tensors and control through a c10d key-value store: what torchrun gives a process. Correct
// and simple, for control and small tensors; every byte passes through one server.
//
// Collective: make_store_world() and everything communicator.h calls so.
// Ownership: communicators share the store.
// Errors: a host that does not answer, a port in use, or a store where another run meets, is
// std::invalid_argument, within seconds; a store that cannot be joined, or a peer that says nothing
// within the store's time-out, is a std::runtime_error that names the key.
#include <c10/util/intrusive_ptr.h>

#include <chrono>
#include <memory>
#include <string>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "parallel/communicator.h"
#include "parallel/launcher.h"

namespace phalanx {

/// `prefix` keeps the keys of this group apart from all others in the store.
std::unique_ptr<Communicator> make_store_communicator(c10::intrusive_ptr<c10d::Store> store,
                                                      int rank, int size, const std::string& name,
                                                      const std::string& prefix);

/// Connects to (or, on rank 0 without an agent, serves) the store that torchrun's variables name.
/// The serving rank's last communicator waits, for at most ten seconds, until the others have gone.
std::unique_ptr<Communicator> make_store_world(const LaunchInfo& launch,
                                               std::chrono::milliseconds timeout);

}  // namespace phalanx
