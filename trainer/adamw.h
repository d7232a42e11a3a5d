#pragma once
// AdamW (arXiv 1711.05101) on flat shares: this replica's part of each bucket of masters and
// moments (ZeRO-1), fp32 or bf16. Rounds the updated masters into the bucket's weights in the same
// pass. What is kept in bf16 is rounded stochastically, keyed by seed, tensor, logical element and
// number of the update: the bits depend neither on the mesh nor on where a run was resumed.
// With offload: host, moments and fp32 masters live in pinned host memory and pass through the
// device in pieces (StateStream). update() is local; gather_weights() is collective over dp, every
// rank, bucket order. Ownership: owns masters and moments; refers to the ParameterSet, which must
// outlive it.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "parallel/communicator.h"
#include "parallel/parameters.h"
#include "trainer/adamw_kernel.h"
#include "trainer/run_config.h"
#include "trainer/state_stream.h"

namespace phalanx {

/// This replica's share of one bucket: elements [begin, begin + numel) of its padded run.
struct BucketShare {
  int64_t begin = 0;
  int64_t numel = 0;
  at::Tensor master;      // fp32; or bf16: a view of the bucket's weights, never offloaded
  at::Tensor exp_avg;     // fp32 or bf16, first moment
  at::Tensor exp_avg_sq;  // as exp_avg, second moment
};

class AdamW {
 public:
  /// Shares are zero; load_masters_from_weights() or a checkpoint fills them. `seed` is that of the
  /// rounding. A bf16 master needs bf16 weights.
  AdamW(const OptimizerConfig& config, ParameterSet& parameters, Communicator& data_parallel,
        uint64_t seed = 0);

  /// Masters = the weights now in the buckets (after initialisation). Local.
  void load_masters_from_weights();

  /// One step over all shares. grad_shares[b] is bucket b's reduced gradient share (sums);
  /// it is multiplied by grad_scale first, and zero afterwards. num_updates counts this update,
  /// from 1.
  void update(const std::vector<at::Tensor>& grad_shares, double learning_rate, double grad_scale,
              int64_t num_updates);

  /// Rounds masters into this replica's part of the bucket weights. Local.
  void write_weights();
  /// Begins to bring the other replicas' parts in, in the order in which the forward pass reads
  /// the buckets; Parameter::ready() waits for each. Collective over dp.
  void gather_weights();

  /// A wrong bit in one is then a wrong bit in the other.
  bool masters_are_weights() const { return config_.master == Precision::kBf16; }
  std::vector<BucketShare>& shares() { return shares_; }
  const std::vector<BucketShare>& shares() const { return shares_; }

 private:
  struct Piece {  // elements [begin, begin + numel) of a share, all of one tensor
    int64_t bucket, begin, numel;
    bool decay;
    LogicalPlaces places;
    uint64_t key;
  };
  void add_share(const Bucket& bucket);
  void add_pieces(uint64_t seed);
  std::vector<AdamWRun> runs(const std::vector<at::Tensor>& grad_shares, int64_t num_updates);

  OptimizerConfig config_;
  ParameterSet& parameters_;
  Communicator& data_parallel_;
  std::vector<BucketShare> shares_;
  std::vector<Piece> pieces_;
  std::unique_ptr<StateStream> stream_;  // null: nothing is offloaded
};

}  // namespace phalanx
