#pragma once
// One group of ranks and its collectives. Three twins stand behind this interface and pass the same
// typed tests: NcclCommunicator (device tensors), MpiCommunicator and ThreadCommunicator (host
// tensors). Axis-free: a mesh axis is a Communicator made by split().
//
// Collective: every method but rank(), size() and name() is called by all ranks of the group, in
// the same order, from the one thread that owns the communicator.
// Stream: NCCL enqueues on its own stream after the work already on the current stream; wait()
// makes the current stream wait. Host twins finish before they return, and wait() does nothing.
// Ownership: tensors must stay alive and unchanged until wait() returns; all are contiguous.
// Errors: a violated shape or dtype is a c10::Error (our bug); a failed transport throws
// std::runtime_error, after which the group cannot be used.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace phalanx {

enum class ReduceOp { kSum, kMax };

/// kRankOrder: sums are ((rank 0 + rank 1) + rank 2) + ..., in fp32 for bf16 input, so that they do
/// not depend on the transport. kTreeOrder, of reduce_scatter() only: neighbours first, then pairs
/// of them, ((rank 0 + rank 1) + (rank 2 + rank 3)) + ..., where a sum without a neighbour stays as
/// it is. kAny leaves the order to the transport; on host twins it is rank order, so MPI and thread
/// ranks give equal bits.
enum class SumOrder { kAny, kRankOrder, kTreeOrder };

/// A collective in flight.
class Work {
 public:
  virtual ~Work() = default;
  virtual void wait() = 0;
};
using WorkHandle = std::unique_ptr<Work>;

class Communicator {
 public:
  Communicator(int rank, int size, std::string name)
      : rank_(rank), size_(size), name_(std::move(name)) {}
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  const std::string& name() const { return name_; }

  /// Ranks with equal `color` form a new group, ordered by `key` (ties: by rank here).
  [[nodiscard]] virtual std::unique_ptr<Communicator> split(int color, int key,
                                                            const std::string& name) = 0;

  [[nodiscard]] virtual WorkHandle all_reduce(const at::Tensor& tensor, ReduceOp op,
                                              SumOrder order = SumOrder::kAny) = 0;
  /// input holds size() equal pieces; output gets the sum over ranks of piece rank(). output may be
  /// that piece of input.
  [[nodiscard]] virtual WorkHandle reduce_scatter(const at::Tensor& output, const at::Tensor& input,
                                                  SumOrder order = SumOrder::kAny) = 0;
  /// output = the inputs of ranks 0, 1, ... one after another. input may be piece rank() of output.
  [[nodiscard]] virtual WorkHandle all_gather(const at::Tensor& output,
                                              const at::Tensor& input) = 0;
  /// Piece p of input goes to rank p; piece p of output comes from rank p. Equal pieces.
  [[nodiscard]] virtual WorkHandle all_to_all(const at::Tensor& output,
                                              const at::Tensor& input) = 0;
  [[nodiscard]] virtual WorkHandle broadcast(const at::Tensor& tensor, int root) = 0;
  virtual void barrier() = 0;

 private:
  int rank_, size_;
  std::string name_;
};

/// Every rank's string, in rank order. Collective; `group` is a host communicator.
std::vector<std::string> all_gather_strings(Communicator& group, const std::string& mine);

}  // namespace phalanx
