#pragma once
// Ranks that are threads of one process, for tests and for a world of one. Host tensors only: on
// CUDA the autograd engine shares one worker thread a device, so that a collective inside backward
// would block its peers.
//
// Threads: ThreadGroup may be used from any thread; each communicator belongs to one thread. All
// groups split from one ThreadGroup share a mutex, so a failure reaches ranks waiting in any of
// them. Ownership: communicators keep what they share alive; the ThreadGroup may go first. Errors:
// after poison(), or when a peer has left, a waiting rank gets a std::runtime_error that carries
// the reason, instead of waiting for ever.
#include <memory>
#include <string>

#include "parallel/communicator.h"

namespace phalanx {

struct ThreadFamily;  // what all groups of one ThreadGroup share
struct ThreadCircle;  // one group of threads

class ThreadGroup {
 public:
  explicit ThreadGroup(int size, std::string name = "world");
  ~ThreadGroup();

  /// The communicator of `rank`; call once for each rank.
  [[nodiscard]] std::unique_ptr<Communicator> communicator(int rank);
  /// Makes every present and later wait throw.
  void poison(const std::string& reason);
  /// Says that `rank` will take part in nothing more; peers that still wait for it get an error.
  void leave(int rank);

 private:
  std::shared_ptr<ThreadFamily> family_;
  std::shared_ptr<ThreadCircle> world_;
};

}  // namespace phalanx
