#pragma once
// The one sink of weight gradients. Layers add their contributions (sums over tokens); once the
// last micro-batch has made all contributions to a bucket, its reduce-scatter over dp starts,
// behind the rest of the backward pass. In fp32 buckets a product accumulates in the bucket itself.
// In bf16 buckets each contribution is summed over its tokens in fp32, added in fp32 and rounded
// stochastically, keyed by seed, tensor, logical element, step, contribution and rank; sums over
// ranks are taken in fp32 and rounded once, to nearest. With leaves, each micro-batch's gradient is
// made by itself and taken into a tree (leaf_sums.h), so that the sums over all micro-batches do
// not depend on the number of replicas. Collective: accumulate calls of the last pass may start a
// reduce-scatter over dp, and finish() waits for all and sums the shared bucket over tp; every
// rank, same order (the order of the model's backward pass). Stream: that of the caller; NCCL runs
// beside it. Ownership: refers to the ParameterSet and communicators, which must outlive it.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "parallel/communicator.h"
#include "parallel/leaf_sums.h"
#include "parallel/parameters.h"

namespace phalanx {

/// kMore: the same parameters get further contributions in this pass (a loss computed in chunks).
enum class Contribution { kMore, kLast };

/// At most so many elements of a product are made at once on their way to a bf16 bucket (one row at
/// least).
inline constexpr int64_t kProductElements = int64_t{1} << 24;

/// How gradients are added up. The order is that of sums over dp; sums over tp are in rank order
/// unless it is kAny.
struct GradientSums {
  SumOrder order = SumOrder::kAny;
  int64_t leaf_group_size = 0;  // > 0: leaves, in groups of so many micro-batches; fp32 only
};

class GradBuckets {
 public:
  /// `seed` is that of the rounding.
  GradBuckets(ParameterSet& parameters, Communicator& data_parallel, Communicator& tensor_parallel,
              uint64_t seed = 0, const GradientSums& sums = {});

  /// Begins a step of `num_micro_batches` passes with gradients of zero. `step` keys the rounding.
  void begin_step(int64_t num_micro_batches, int64_t step = 0);

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

  /// The shares were set to zero by whoever took them in (AdamW::update), so that the next
  /// begin_step() need not pass over buckets that are their own shares.
  void note_cleared() { cleared_ = true; }

 private:
  void add_product(Parameter& parameter, const at::Tensor& dy_NO, const at::Tensor& x_NI);
  /// grad[index_N[i], :] += value_ND[i, :] without those of other parts.
  void add_rows(Parameter& parameter, const at::Tensor& index_N, const at::Tensor& value_ND);
  /// grad[first_row + row_V[i], :] += value[i, :]; none where row_V[i] is -1; undefined row_V: rows
  /// in order.
  void add_rounded(Parameter& parameter, int64_t first_row, const at::Tensor& value_VC,
                   const at::Tensor& row_V = {});
  void note(Parameter& parameter);
  void expect_contributions(int64_t bucket, int64_t num_passes);
  /// All contributions to the bucket that were waited for are in.
  void close(int64_t bucket);
  void start_reduction(int64_t bucket);

  ParameterSet& parameters_;
  Communicator& data_parallel_;
  Communicator& tensor_parallel_;
  uint64_t seed_;
  GradientSums sums_;
  int64_t step_ = 0;
  uint64_t contribution_ = 0;  // of this step, of all tensors
  bool cleared_ = false;
  at::Tensor product_;                       // fp32 part of a product on its way to a bf16 bucket
  std::vector<int64_t> contributions_left_;  // of each bucket in this step, or to this leaf
  std::vector<LeafSums> leaves_;             // of each bucket; none without leaves
  std::vector<at::Tensor> shares_;           // reduced; dp 1: the bucket's gradients themselves
  std::vector<WorkHandle> reductions_;
};

}  // namespace phalanx
