#pragma once
// What the host twins share: argument checks, splitting, and every collective expressed through one
// primitive, exchange(). A transport must supply exchange() and make_group(); it overrides a
// collective only where it knows a faster way. All of them add up with host_sums.h, in rank order
// or by the tree, so their results have equal bits.
//
// Collective and errors: as communicator.h says. A collective has finished when it returns.
// Memory: reductions go through a temporary of at most kScratchBytes.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "parallel/communicator.h"

namespace phalanx {

class HostCommunicator : public Communicator {
 public:
  using Communicator::Communicator;

  [[nodiscard]] std::unique_ptr<Communicator> split(int color, int key,
                                                    const std::string& name) final;
  [[nodiscard]] WorkHandle all_reduce(const at::Tensor& tensor, ReduceOp op,
                                      SumOrder order = SumOrder::kAny) final;
  [[nodiscard]] WorkHandle reduce_scatter(const at::Tensor& output, const at::Tensor& input,
                                          SumOrder order = SumOrder::kAny) final;
  [[nodiscard]] WorkHandle all_gather(const at::Tensor& output, const at::Tensor& input) final;
  [[nodiscard]] WorkHandle all_to_all(const at::Tensor& output, const at::Tensor& input) final;
  [[nodiscard]] WorkHandle broadcast(const at::Tensor& tensor, int root) final;
  void barrier() final;

 protected:
  static constexpr int64_t kScratchBytes = int64_t{4} << 20;
  // Up to this many bytes over all ranks, everybody gathers everything and adds up for itself: one
  // exchange instead of two.
  static constexpr int64_t kSmallBytes = int64_t{64} << 10;

  /// The group that split() found for this rank. `index` numbers the groups of one split densely.
  struct GroupPlan {
    std::vector<int> members;  // ranks here, in the order of their new ranks
    int rank = 0;
    int index = 0;
    std::string name;
  };
  using Bytes = std::span<std::byte>;
  using ConstBytes = std::span<const std::byte>;

  virtual std::unique_ptr<Communicator> make_group(const GroupPlan& plan) = 0;
  /// Sends sends[p] to rank p and fills receives[p] from rank p, this rank included; sizes agree.
  virtual void exchange(std::span<const ConstBytes> sends, std::span<const Bytes> receives) = 0;

  // Called with size() > 1 and something to move.
  virtual void all_reduce_elements(std::byte* data, int64_t count, at::ScalarType dtype,
                                   ReduceOp op);
  virtual void reduce_scatter_elements(std::byte* output, const std::byte* input, int64_t piece,
                                       at::ScalarType dtype, SumOrder order);
  virtual void all_gather_bytes(std::byte* output, const std::byte* input, int64_t bytes);
  virtual void all_to_all_bytes(std::byte* output, const std::byte* input, int64_t bytes);
  virtual void broadcast_bytes(std::byte* data, int64_t bytes, int root);
  virtual void meet();

 private:
  void all_reduce_small(std::byte* data, int64_t count, at::ScalarType dtype, ReduceOp op);
  void all_reduce_chunk(std::byte* data, int64_t count, at::ScalarType dtype, ReduceOp op,
                        std::vector<std::byte>& scratch);
};

/// A collective that has already finished.
WorkHandle finished_work();

}  // namespace phalanx
