#include <ATen/ops/empty.h>

#include "parallel/kernels/block_reduce.cuh"
#include "parallel/kernels/cross_entropy_row.h"
#include "parallel/kernels/row_launch.cuh"
#include "parallel/kernels/vocab_rows.h"

namespace phalanx {
namespace kernels {
namespace {

template <typename T, int W>
__global__ void statistics(const T* logits, const int64_t* targets, int64_t c, int64_t v,
                           int64_t first, float* result_3c) {
  const int64_t row = blockIdx.x;
  const SoftmaxSum mine = scan_logits<W>(this_thread(), logits + row * v, v);
  const float max = block_max(mine.max);
  const float sum = block_sum(sum_relative_to(mine, max));
  if (threadIdx.x != 0) return;
  const int64_t target = targets[row] - first;
  const bool inside = target >= 0 && target < v;
  result_3c[row] = max;
  result_3c[c + row] = sum;
  result_3c[2 * c + row] = inside ? static_cast<float>(logits[row * v + target]) : 0.0f;
}

template <typename T, int W>
__global__ void gradient(T* logits, const int64_t* targets, int64_t v, int64_t first,
                         const float* statistics_3c, int64_t c, const bool* mask) {
  const int64_t row = blockIdx.x;
  const CrossEntropyRow of_row{statistics_3c[row], 1.0f / statistics_3c[c + row], mask[row],
                               targets[row] - first};
  write_logit_gradient<W>(this_thread(), of_row, logits + row * v, v);
}

}  // namespace
}  // namespace kernels

at::Tensor cross_entropy_statistics_cuda(const at::Tensor& logits_cv, const at::Tensor& targets_c,
                                         int64_t first) {
  const c10::cuda::CUDAGuard guard(logits_cv.device());
  const int64_t c = logits_cv.size(0), v = logits_cv.size(1);
  at::Tensor result_3c = at::empty({3, c}, logits_cv.options().dtype(at::kFloat));
  if (c == 0) return result_3c;
  kernels::with_float_type(logits_cv.scalar_type(), [&](auto type) {
    using T = decltype(type);
    const T* logits = static_cast<const T*>(logits_cv.const_data_ptr());
    kernels::with_width<T>(kernels::takes_wide_packs<T>(v, {logits}), [&](auto width) {
      constexpr int W = decltype(width)::value;
      kernels::statistics<T, W>
          <<<static_cast<unsigned>(c), kernels::row_threads(v, W), 0,
             c10::cuda::getCurrentCUDAStream()>>>(logits, targets_c.const_data_ptr<int64_t>(), c, v,
                                                  first, result_3c.mutable_data_ptr<float>());
    });
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return result_3c;
}

void cross_entropy_gradient_cuda_(const at::Tensor& logits_cv, const at::Tensor& targets_c,
                                  const at::Tensor& mask_c, int64_t first,
                                  const at::Tensor& statistics_3c) {
  const c10::cuda::CUDAGuard guard(logits_cv.device());
  const int64_t c = logits_cv.size(0), v = logits_cv.size(1);
  if (c == 0 || v == 0) return;
  kernels::with_float_type(logits_cv.scalar_type(), [&](auto type) {
    using T = decltype(type);
    T* logits = static_cast<T*>(logits_cv.mutable_data_ptr());
    kernels::with_width<T>(kernels::takes_wide_packs<T>(v, {logits}), [&](auto width) {
      constexpr int W = decltype(width)::value;
      kernels::gradient<T, W><<<static_cast<unsigned>(c), kernels::row_threads(v, W), 0,
                                c10::cuda::getCurrentCUDAStream()>>>(
          logits, targets_c.const_data_ptr<int64_t>(), v, first,
          statistics_3c.const_data_ptr<float>(), c, mask_c.const_data_ptr<bool>());
    });
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace phalanx
