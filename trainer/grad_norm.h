#pragma once
// The global gradient norm and the factor that clips it. A replicated or shared tensor counts once.
// Collective over `control` (the world, host): every rank, once a step.
#include <ATen/core/Tensor.h>

#include <vector>

#include "parallel/communicator.h"
#include "parallel/parameters.h"

namespace phalanx {

/// Sums of squares, in fp64, of each block of 4,096 elements of this rank's part of the gradient,
/// by bucket. Blocks are the same on any number of replicas but for those of padding, which are
/// zero. `first_of_tensor_axis`: this rank counts the buckets that are summed over tp.
std::vector<std::vector<double>> block_squares(const std::vector<at::Tensor>& grad_shares,
                                               const std::vector<Bucket>& buckets,
                                               bool first_of_tensor_axis);

/// Norm and factor from the world's sum of squares of gradient sums over `num_valid` targets.
struct ClippedGradient {
  double norm = 0.0;   // of the mean gradient, before clipping
  double scale = 0.0;  // to apply to the gradient sums: clip factor / num_valid
  bool finite = true;
};
/// clip_norm 0: no clipping. Factor min(1, clip / (norm + 1e-6)), as torch.nn.utils does.
ClippedGradient clip_gradient(double sum_of_squares, double num_valid, double clip_norm);

}  // namespace phalanx
