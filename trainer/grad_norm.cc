#include "trainer/grad_norm.h"

#include <ATen/record_function.h>
#include <algorithm>
#include <cmath>

namespace phalanx {
namespace {

/// Shares are whole numbers of kBucketAlignment blocks; each is one row.
double sum_of_squares(const at::Tensor& share) {
  const at::Tensor blocks = share.view({-1, kBucketAlignment});
  const at::Tensor norms_b =
      blocks.norm(2, {1}, /*keepdim=*/false, at::kFloat).to(at::kDouble).cpu();
  const double* norm = norms_b.const_data_ptr<double>();
  double sum = 0.0;
  for (int64_t i = 0; i < norms_b.numel(); ++i) sum += norm[i] * norm[i];
  return sum;
}

}  // namespace

double local_sum_of_squares(const std::vector<at::Tensor>& grad_shares,
                            const std::vector<Bucket>& buckets, bool first_of_tensor_axis) {
  RECORD_USER_SCOPE("gradient norm");
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
