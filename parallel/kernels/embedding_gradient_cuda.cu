#include <ATen/ops/sort.h>

#include "parallel/kernels/embedding_row.h"
#include "parallel/kernels/row_launch.cuh"
#include "parallel/kernels/vocab_rows.h"

namespace phalanx {
namespace kernels {
namespace {

/// blockIdx.x: position; blockIdx.y and threadIdx.x: columns.
template <typename T, int W>
__global__ void add_runs(SortedRows<T> rows) {
  const int64_t column = (int64_t{blockIdx.y} * blockDim.x + threadIdx.x) * W;
  if (column < rows.d) add_run<W>(rows, blockIdx.x, column);
}

}  // namespace
}  // namespace kernels

void add_rows_cuda_(const at::Tensor& grad_RD, const at::Tensor& index_N,
                    const at::Tensor& value_ND) {
  const c10::cuda::CUDAGuard guard(grad_RD.device());
  const int64_t n = index_N.size(0), d = value_ND.size(1);
  if (n == 0 || d == 0 || grad_RD.size(0) == 0) return;
  const auto [sorted_N, source_N] =
      at::sort(index_N, /*stable=*/true, /*dim=*/0, /*descending=*/false);
  const at::Tensor value = value_ND.contiguous();
  kernels::with_float_type(value.scalar_type(), [&](auto type) {
    using T = decltype(type);
    const kernels::SortedRows<T> rows{sorted_N.const_data_ptr<int64_t>(),
                                      source_N.const_data_ptr<int64_t>(),
                                      n,
                                      static_cast<const T*>(value.const_data_ptr()),
                                      grad_RD.mutable_data_ptr<float>(),
                                      grad_RD.size(0),
                                      d,
                                      grad_RD.stride(0)};
    kernels::with_width<T>(kernels::takes_wide_packs<T>(d, {rows.value}), [&](auto width) {
      constexpr int W = decltype(width)::value;
      constexpr unsigned kThreads = 64;
      const dim3 grid(static_cast<unsigned>(n), kernels::blocks_for(d, kThreads * W));
      kernels::add_runs<T, W><<<grid, kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(rows);
    });
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace phalanx
