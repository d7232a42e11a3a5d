#include "trainer/grad_norm.h"

#include <algorithm>
#include <cmath>

namespace phalanx {
namespace {

/// LibTorch's CPU widens bf16 in a copy: of so many blocks, which stay in the cache.
constexpr int64_t kBlocksAtOnce = 16;

/// Shares are whole numbers of kBucketAlignment blocks; each is one row.
double sum_of_squares(const at::Tensor& share) {
  const at::Tensor blocks = share.view({-1, kBucketAlignment});
  const bool copies = share.is_cpu() && share.scalar_type() != at::kFloat;
  const int64_t num_blocks = blocks.size(0), step = copies ? kBlocksAtOnce : num_blocks;
  double sum = 0.0;
  for (int64_t first = 0; first < num_blocks; first += step) {
    const at::Tensor norms_b = blocks.narrow(0, first, std::min(step, num_blocks - first))
                                   .norm(2, {1}, /*keepdim=*/false, at::kFloat)
                                   .to(at::kDouble)
                                   .cpu();
    const double* norm = norms_b.const_data_ptr<double>();
    for (int64_t i = 0; i < norms_b.numel(); ++i) sum += norm[i] * norm[i];
  }
  return sum;
}

}  // namespace

double local_sum_of_squares(const std::vector<at::Tensor>& grad_shares,
                            const std::vector<Bucket>& buckets, bool first_of_tensor_axis) {
  double sum = 0.0;
  for (size_t b = 0; b < grad_shares.size(); ++b) {
    if (buckets[b].summed_over_tp && !first_of_tensor_axis) continue;
    sum += sum_of_squares(grad_shares[b]);
  }
  return sum;
}

ClippedGradient clip_gradient(double sum_of_squares, double num_valid, double clip_norm) {
  ClippedGradient result;
  result.norm = std::sqrt(sum_of_squares) / num_valid;
  result.finite = std::isfinite(result.norm);
  const double factor = clip_norm > 0.0 ? std::min(1.0, clip_norm / (result.norm + 1e-6)) : 1.0;
  result.scale = factor / num_valid;
  return result;
}

}  // namespace phalanx
