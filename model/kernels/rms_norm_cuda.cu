#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "model/kernels/rms_norm_row.h"
#include "model/kernels/row_kernels_cuda.h"
#include "parallel/kernels/block_reduce.cuh"
#include "parallel/kernels/row_launch.cuh"

namespace phalanx {
namespace kernels {
namespace {

/// Tokens whose weight gradients one block adds up; fixed, so that the sum's order is.
constexpr int64_t kBlockTokens = 32;

template <typename T, int W>
__global__ void norm(const T* x, const T* weight, float eps, int64_t d, T* y, float* rstd_N) {
  const int64_t row = blockIdx.x;
  const float sum = block_sum(sum_of_squares<W>(this_thread(), x + row * d, d));
  const float rstd = rstd_of(sum, d, eps);
  write_norm<W>(this_thread(), x + row * d, weight, rstd, y + row * d, d);
  if (threadIdx.x == 0) rstd_N[row] = rstd;
}

template <typename T, int W>
__global__ void add_norm(const T* x, const T* delta, const T* weight, float eps, int64_t d, T* h,
                         T* y, float* rstd_N) {
  const int64_t at = blockIdx.x * d;
  const float sum = block_sum(add_and_square<W>(this_thread(), x + at, delta + at, h + at, d));
  const float rstd = rstd_of(sum, d, eps);
  // A thread reads back only what it has written.
  write_norm<W>(this_thread(), h + at, weight, rstd, y + at, d);
  if (threadIdx.x == 0) rstd_N[blockIdx.x] = rstd;
}

/// dweight_bD: one row a block, over kBlockTokens tokens in order.
template <typename T, int W>
__global__ void norm_gradient(const T* dy, const T* x, const T* weight, const T* dresidual,
                              const float* rstd_N, int64_t n, int64_t d, T* dx, float* dweight_bD) {
  float* dweight = dweight_bD + blockIdx.x * d;
  for (int64_t j = threadIdx.x * W; j < d; j += blockDim.x * W) {
    store_floats<W>(dweight + j, Floats<W>{});
  }
  const int64_t end = min(n, (int64_t{blockIdx.x} + 1) * kBlockTokens);
  for (int64_t token = blockIdx.x * kBlockTokens; token < end; ++token) {
    const int64_t at = token * d;
    const NormRow<T> row{dy + at, x + at, weight, dresidual ? dresidual + at : nullptr,
                         rstd_N[token]};
    const float mean = block_sum(norm_dot<W>(this_thread(), row, d)) / static_cast<float>(d);
    write_norm_gradient<W>(this_thread(), row, mean, dx + at, dweight, d);
  }
}

/// dweight_D = the sum of the blocks' rows, in order.
__global__ void sum_blocks(const float* dweight_bD, int64_t num_blocks, int64_t d,
                           float* dweight_D) {
  const int64_t j = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (j >= d) return;
  float sum = 0.0f;
#pragma unroll 8
  for (int64_t b = 0; b < num_blocks; ++b) sum += dweight_bD[b * d + j];
  dweight_D[j] = sum;
}

template <typename T>
const T* pointer(const at::Tensor& x) {
  return x.defined() ? static_cast<const T*>(x.const_data_ptr()) : nullptr;
}

}  // namespace
}  // namespace kernels

using kernels::pointer;

RmsNormOutput rms_norm_cuda(const at::Tensor& x_ND, const at::Tensor& weight_D, double eps) {
  const c10::cuda::CUDAGuard guard(x_ND.device());
  const int64_t n = x_ND.size(0), d = x_ND.size(1);
  RmsNormOutput out{at::empty_like(x_ND), at::empty({n}, x_ND.options().dtype(at::kFloat))};
  if (n == 0) return out;
  kernels::with_float_type(x_ND.scalar_type(), [&](auto type) {
    using T = decltype(type);
    const T *x = pointer<T>(x_ND), *weight = pointer<T>(weight_D);
    T* y = static_cast<T*>(out.y_ND.mutable_data_ptr());
    kernels::with_width<T>(kernels::takes_wide_packs<T>(d, {x, weight, y}), [&](auto width) {
      constexpr int W = decltype(width)::value;
      kernels::norm<T, W><<<static_cast<unsigned>(n), kernels::row_threads(d, W), 0,
                            c10::cuda::getCurrentCUDAStream()>>>(
          x, weight, static_cast<float>(eps), d, y, out.rstd_N.mutable_data_ptr<float>());
    });
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return out;
}

AddRmsNormOutput add_rms_norm_cuda(const at::Tensor& x_ND, const at::Tensor& delta_ND,
                                   const at::Tensor& weight_D, double eps) {
  const c10::cuda::CUDAGuard guard(x_ND.device());
  const int64_t n = x_ND.size(0), d = x_ND.size(1);
  AddRmsNormOutput out{at::empty_like(x_ND), at::empty_like(x_ND),
                       at::empty({n}, x_ND.options().dtype(at::kFloat))};
  if (n == 0) return out;
  const at::Tensor more = delta_ND.contiguous();
  kernels::with_float_type(x_ND.scalar_type(), [&](auto type) {
    using T = decltype(type);
    const T *x = pointer<T>(x_ND), *delta = pointer<T>(more), *weight = pointer<T>(weight_D);
    T* h = static_cast<T*>(out.h_ND.mutable_data_ptr());
    T* y = static_cast<T*>(out.y_ND.mutable_data_ptr());
    const bool wide = kernels::takes_wide_packs<T>(d, {x, delta, weight, h, y});
    kernels::with_width<T>(wide, [&](auto width) {
      constexpr int W = decltype(width)::value;
      kernels::add_norm<T, W><<<static_cast<unsigned>(n), kernels::row_threads(d, W), 0,
                                c10::cuda::getCurrentCUDAStream()>>>(
          x, delta, weight, static_cast<float>(eps), d, h, y, out.rstd_N.mutable_data_ptr<float>());
    });
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return out;
}

RmsNormGradients rms_norm_backward_cuda(const at::Tensor& dy_ND, const at::Tensor& x_ND,
                                        const at::Tensor& weight_D, const at::Tensor& rstd_N,
                                        const at::Tensor& dresidual_ND) {
  const c10::cuda::CUDAGuard guard(x_ND.device());
  const auto stream = c10::cuda::getCurrentCUDAStream();
  const int64_t n = x_ND.size(0), d = x_ND.size(1);
  const unsigned num_blocks = kernels::blocks_for(n, kernels::kBlockTokens);
  const auto fp32 = x_ND.options().dtype(at::kFloat);
  RmsNormGradients out{at::empty_like(x_ND), at::empty({d}, fp32)};
  const at::Tensor dweight_bD = at::empty({num_blocks, d}, fp32);
  float* partial = dweight_bD.mutable_data_ptr<float>();
  const at::Tensor dy_rows = dy_ND.contiguous();
  const at::Tensor past = dresidual_ND.defined() ? dresidual_ND.contiguous() : dresidual_ND;
  if (n > 0) {
    kernels::with_float_type(x_ND.scalar_type(), [&](auto type) {
      using T = decltype(type);
      const T *dy = pointer<T>(dy_rows), *x = pointer<T>(x_ND), *weight = pointer<T>(weight_D);
      const T* dresidual = pointer<T>(past);
      T* dx = static_cast<T*>(out.dx_ND.mutable_data_ptr());
      const bool wide = kernels::takes_wide_packs<T>(d, {dy, x, weight, dresidual, dx, partial});
      kernels::with_width<T>(wide, [&](auto width) {
        constexpr int W = decltype(width)::value;
        kernels::norm_gradient<T, W><<<num_blocks, kernels::row_threads(d, W), 0, stream>>>(
            dy, x, weight, dresidual, rstd_N.const_data_ptr<float>(), n, d, dx, partial);
      });
    });
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }
  kernels::sum_blocks<<<kernels::blocks_for(d, 128), 128, 0, stream>>>(
      partial, num_blocks, d, out.dweight_D.mutable_data_ptr<float>());
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return out;
}

}  // namespace phalanx
