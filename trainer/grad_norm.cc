#include "trainer/grad_norm.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <cmath>

namespace phalanx {
namespace {

/// LibTorch's CPU widens bf16 in a copy: of so many blocks, which stay in the cache.
constexpr int64_t kBlocksAtOnce = 16;

/// Shares are whole numbers of kBucketAlignment blocks; each is one row.
at::Tensor block_norms(const at::Tensor& share) {
  const at::Tensor blocks = share.view({-1, kBucketAlignment});
  const bool copies = share.is_cpu() && share.scalar_type() != at::kFloat;
  const int64_t num_blocks = blocks.size(0), step = copies ? kBlocksAtOnce : num_blocks;
  at::Tensor norms_b = at::empty({num_blocks}, blocks.options().dtype(at::kDouble));
  for (int64_t first = 0; first < num_blocks; first += step) {
    const int64_t count = std::min(step, num_blocks - first);
    norms_b.narrow(0, first, count)
        .copy_(blocks.narrow(0, first, count).norm(2, {1}, /*keepdim=*/false, at::kFloat));
  }
  return norms_b;
}

}  // namespace

std::vector<std::vector<double>> block_squares(const std::vector<at::Tensor>& grad_shares,
                                               const std::vector<Bucket>& buckets,
                                               bool first_of_tensor_axis) {
  RECORD_USER_SCOPE("gradient norm");
  std::vector<at::Tensor> norms;  // to the host at once, which waits for them
  for (size_t b = 0; b < grad_shares.size(); ++b) {
    if (buckets[b].summed_over_tp && !first_of_tensor_axis) continue;
    norms.push_back(block_norms(grad_shares[b]));
  }
  std::vector<std::vector<double>> squares;
  if (norms.empty()) return squares;
  const at::Tensor norms_b = at::cat(norms).cpu();
  const double* norm = norms_b.const_data_ptr<double>();
  for (const at::Tensor& of_bucket : norms) {
    std::vector<double>& of = squares.emplace_back();
    for (int64_t i = 0; i < of_bucket.numel(); ++i, ++norm) of.push_back(*norm * *norm);
  }
  return squares;
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
