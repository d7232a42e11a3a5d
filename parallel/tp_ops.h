#pragma once
// The conjugate pair of collectives of tensor parallelism with or without sequence parallelism
// (Megatron-LM, arXiv 1909.08053 and 2205.05198). gather's gradient is reduce and the reverse:
//
//                      sequence parallel            otherwise
//   gather  x_nD->x_ND  all-gather of tokens         identity
//   reduce  y_ND->y_nD  reduce-scatter of tokens     all-reduce
//
// start_gather() and start_reduce() return before the collective has ended, so that a product that
// does not need it can run meanwhile. Where a product and its collective depend on each other, they
// are cut into num_chunks() pieces of tokens (tp_overlap.h).
// N tokens; under sequence parallelism n = ceil(N / tp), the last rank's tail is padding that is
// dropped by gather. Otherwise n = N.
// Collective over tp: every rank, same order. Holds a reference to the communicator.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>

#include "parallel/communicator.h"
#include "parallel/shard_spec.h"

namespace phalanx {

/// A tensor that a collective is making; without one it is there already.
class PendingTensor {
 public:
  explicit PendingTensor(at::Tensor result, WorkHandle work = nullptr)
      : result_(std::move(result)), work_(std::move(work)) {}
  at::Tensor wait();

 private:
  at::Tensor result_;
  WorkHandle work_;
};

class TensorParallel {
 public:
  TensorParallel(Communicator& group, bool sequence_parallel, int64_t num_chunks = 1)
      : group_(group),
        sequence_parallel_(sequence_parallel && group.size() > 1),
        num_chunks_(num_chunks) {}

  PendingTensor start_gather(const at::Tensor& x_nD, int64_t num_tokens) const;
  PendingTensor start_reduce(const at::Tensor& y_ND) const;
  at::Tensor gather(const at::Tensor& x_nD, int64_t num_tokens) const {
    return start_gather(x_nD, num_tokens).wait();
  }
  at::Tensor reduce(const at::Tensor& y_ND) const { return start_reduce(y_ND).wait(); }

  /// Pieces in which a product and its collective overlap; 1: one after the other.
  int64_t num_chunks() const { return group_.size() > 1 ? num_chunks_ : 1; }

  /// Are tokens between the layers spread over the axis? Then gradients of norms are partial.
  bool sequence_parallel() const { return sequence_parallel_; }
  /// This rank's part of what is split evenly over the axis.
  Range part_of(int64_t total) const { return split_range(total, group_.size(), group_.rank()); }
  HeadSplit heads(int64_t num_query_heads, int64_t num_kv_heads) const {
    return split_heads(num_query_heads, num_kv_heads, group_.size(), group_.rank());
  }
  Communicator& group() const { return group_; }

 private:
  Communicator& group_;
  bool sequence_parallel_;
  int64_t num_chunks_;
};

}  // namespace phalanx
