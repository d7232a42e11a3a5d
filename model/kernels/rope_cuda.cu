#include "model/kernels/rope_row.h"
#include "model/kernels/row_kernels_cuda.h"
#include "parallel/kernels/row_launch.cuh"

namespace phalanx {
namespace kernels {
namespace {

template <typename T, int W>
__global__ void rotate(T* x, int64_t row_length, RopeRow row, const int64_t* positions) {
  const int64_t angles = positions[blockIdx.x] * row.half;
  row.cos += angles;
  row.sin += angles;
  rotate_heads<W>(this_thread(), row, x + blockIdx.x * row_length);
}

}  // namespace
}  // namespace kernels

void rope_cuda_(const at::Tensor& x_NF, int64_t num_heads, const RopeTable& table,
                const at::Tensor& positions_N, float sign) {
  const c10::cuda::CUDAGuard guard(x_NF.device());
  const int64_t n = x_NF.size(0), half = table.cos_TH.size(1);
  if (n == 0 || num_heads == 0) return;
  const kernels::RopeRow row{table.cos_TH.const_data_ptr<float>(),
                             table.sin_TH.const_data_ptr<float>(),
                             num_heads,
                             table.head_dim,
                             half,
                             sign};
  const at::Tensor positions = positions_N.contiguous();
  kernels::with_float_type(x_NF.scalar_type(), [&](auto type) {
    using T = decltype(type);
    T* x = static_cast<T*>(x_NF.mutable_data_ptr());
    const bool wide = kernels::takes_wide_packs<T>(half, {x}) &&
                      kernels::takes_wide_packs<T>(table.head_dim, {}) &&
                      kernels::takes_wide_packs<T>(x_NF.size(1), {});
    kernels::with_width<T>(wide, [&](auto width) {
      constexpr int W = decltype(width)::value;
      kernels::rotate<T, W><<<static_cast<unsigned>(n), kernels::row_threads(num_heads * half, W),
                              0, c10::cuda::getCurrentCUDAStream()>>>(
          x, x_NF.size(1), row, positions.const_data_ptr<int64_t>());
    });
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace phalanx
