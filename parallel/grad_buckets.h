#pragma once
// The one sink of weight gradients. Layers add their contributions (sums over tokens, fp32,
// straight into the bucket); once the last micro-batch has made all contributions to a bucket, its
// reduce-scatter over dp starts, behind the rest of the backward pass.
// Collective: accumulate calls of the last pass may start a reduce-scatter over dp, and finish()
// waits for all and sums the shared bucket over tp; every rank, same order (the order of the
// model's backward pass). Stream: that of the caller; NCCL runs beside it. Ownership: refers to the
// ParameterSet and communicators, which must outlive it.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "parallel/communicator.h"
#include "parallel/parameters.h"

namespace phalanx {

/// kMore: the same parameters get further contributions in this pass (a loss computed in chunks).
enum class Contribution { kMore, kLast };

class GradBuckets {
 public:
  GradBuckets(ParameterSet& parameters, Communicator& data_parallel, Communicator& tensor_parallel);

  /// Zeroes the gradients for a new step of `num_micro_batches` passes.
  void begin_step(int64_t num_micro_batches);

  /// grad(parameters side by side) += dy_NO^T x_NI. Their used rows together make O.
  void accumulate_linear(const std::vector<Parameter*>& parameters, const at::Tensor& dy_NO,
                         const at::Tensor& x_NI, Contribution kind = Contribution::kLast);
  /// grad += value (shape of the used part). For a replicated tensor whose gradient is already
  /// whole on every tensor-parallel rank, only the first contributes, since the bucket is summed.
  void accumulate(Parameter& parameter, const at::Tensor& value, bool whole_everywhere);
  /// grad[index_N[i], :] += value_ND[i, :] in order of i; rows outside [0, used rows) are left out.
  void accumulate_rows(Parameter& parameter, const at::Tensor& index_N, const at::Tensor& value_ND);

  /// Counts the contributions of a pass that a CUDA graph makes without calling the others. One
  /// replica: nothing is reduced.
  void count_pass();

  /// Collective over dp and tp. Returns this replica's reduced share of each bucket, valid until
  /// the next begin_step().
  const std::vector<at::Tensor>& finish();

 private:
  void note(Parameter& parameter);
  void start_reduction(int64_t bucket);

  ParameterSet& parameters_;
  Communicator& data_parallel_;
  Communicator& tensor_parallel_;
  std::vector<int64_t> contributions_left_;  // of each bucket in this step
  std::vector<at::Tensor> shares_;           // reduced; dp 1: the bucket's gradients themselves
  std::vector<WorkHandle> reductions_;
};

}  // namespace phalanx
