#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "model/kernels/row_kernels_cuda.h"
#include "model/kernels/swiglu_row.h"
#include "parallel/kernels/row_launch.cuh"

namespace phalanx {
namespace kernels {
namespace {

template <typename T, int W>
__global__ void swiglu_rows(const T* gate_up, T* y, int64_t f) {
  const int64_t row = blockIdx.x;
  write_swiglu<W>(this_thread(), gate_up + row * 2 * f, y + row * f, f);
}

template <typename T, int W>
__global__ void swiglu_gradient_rows(const T* dy, const T* gate_up, T* dgate_up, int64_t f) {
  const int64_t row = blockIdx.x;
  write_swiglu_gradient<W>(this_thread(), dy + row * f, gate_up + row * 2 * f,
                           dgate_up + row * 2 * f, f);
}

}  // namespace
}  // namespace kernels

at::Tensor swiglu_cuda(const at::Tensor& gate_up_N2f) {
  const c10::cuda::CUDAGuard guard(gate_up_N2f.device());
  const int64_t n = gate_up_N2f.size(0), f = gate_up_N2f.size(1) / 2;
  at::Tensor y_Nf = at::empty({n, f}, gate_up_N2f.options());
  if (y_Nf.numel() == 0) return y_Nf;
  kernels::with_float_type(gate_up_N2f.scalar_type(), [&](auto type) {
    using T = decltype(type);
    const T* gate_up = static_cast<const T*>(gate_up_N2f.const_data_ptr());
    T* y = static_cast<T*>(y_Nf.mutable_data_ptr());
    kernels::with_width<T>(kernels::takes_wide_packs<T>(f, {gate_up, y}), [&](auto width) {
      constexpr int W = decltype(width)::value;
      kernels::swiglu_rows<T, W><<<static_cast<unsigned>(n), kernels::row_threads(f, W), 0,
                                   c10::cuda::getCurrentCUDAStream()>>>(gate_up, y, f);
    });
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return y_Nf;
}

at::Tensor swiglu_backward_cuda(const at::Tensor& dy_Nf, const at::Tensor& gate_up_N2f) {
  const c10::cuda::CUDAGuard guard(gate_up_N2f.device());
  const int64_t n = gate_up_N2f.size(0), f = gate_up_N2f.size(1) / 2;
  at::Tensor d_N2f = at::empty_like(gate_up_N2f);
  if (d_N2f.numel() == 0) return d_N2f;
  const at::Tensor dy_rows = dy_Nf.contiguous();
  kernels::with_float_type(gate_up_N2f.scalar_type(), [&](auto type) {
    using T = decltype(type);
    const T* dy = static_cast<const T*>(dy_rows.const_data_ptr());
    const T* gate_up = static_cast<const T*>(gate_up_N2f.const_data_ptr());
    T* d = static_cast<T*>(d_N2f.mutable_data_ptr());
    kernels::with_width<T>(kernels::takes_wide_packs<T>(f, {dy, gate_up, d}), [&](auto width) {
      constexpr int W = decltype(width)::value;
      kernels::swiglu_gradient_rows<T, W><<<static_cast<unsigned>(n), kernels::row_threads(f, W), 0,
                                            c10::cuda::getCurrentCUDAStream()>>>(dy, gate_up, d, f);
    });
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return d_N2f;
}

}  // namespace phalanx
