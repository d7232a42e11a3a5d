#pragma once
// AdamW (arXiv 1711.05101) on flat fp32 shares: this replica's part of each bucket of masters and
// moments (ZeRO-1). Rounds the updated masters into the bucket's weights in the same pass.
// update() is local; gather_weights() is collective over dp, every rank, bucket order.
// Ownership: owns masters and moments; refers to the ParameterSet, which must outlive it.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "parallel/communicator.h"
#include "parallel/parameters.h"
#include "trainer/run_config.h"

namespace phalanx {

/// This replica's share of one bucket: elements [begin, begin + numel) of its padded run.
struct BucketShare {
  int64_t begin = 0;
  int64_t numel = 0;
  at::Tensor master;      // fp32
  at::Tensor exp_avg;     // fp32, first moment
  at::Tensor exp_avg_sq;  // fp32, second moment
};

class AdamW {
 public:
  /// Shares are zero; load_masters_from_weights() or a checkpoint fills them.
  AdamW(const OptimizerConfig& config, ParameterSet& parameters, Communicator& data_parallel);

  /// Masters = the weights now in the buckets (after initialisation). Local.
  void load_masters_from_weights();

  /// One step over all shares. grad_shares[b] is bucket b's reduced gradient share (sums);
  /// it is multiplied by grad_scale first. num_updates counts this update, from 1.
  void update(const std::vector<at::Tensor>& grad_shares, double learning_rate, double grad_scale,
              int64_t num_updates);

  /// Rounds masters into this replica's part of the bucket weights. Local.
  void write_weights();
  /// Begins to bring the other replicas' parts in, in the order in which the forward pass reads
  /// the buckets; Parameter::ready() waits for each. Collective over dp.
  void gather_weights();

  std::vector<BucketShare>& shares() { return shares_; }
  const std::vector<BucketShare>& shares() const { return shares_; }

 private:
  struct Piece {  // elements [begin, begin + numel) of a share that decay alike
    int64_t begin, numel;
    bool decay;
  };
  void add_pieces(const Bucket& bucket, const BucketShare& share);

  OptimizerConfig config_;
  ParameterSet& parameters_;
  Communicator& data_parallel_;
  std::vector<BucketShare> shares_;
  std::vector<std::vector<Piece>> pieces_;  // of each share
};

}  // namespace phalanx
