#include <ATen/core/Tensor.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "model/kernels/normal_draw.h"
#include "model/kernels/normal_fill.h"

namespace phalanx {
namespace {

__global__ void fill(float* w, int64_t columns, int64_t count, LogicalWindow window, uint64_t key,
                     float deviation) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const int64_t row = window.first_row + i / columns, column = window.first_column + i % columns;
  w[i] = deviation *
         kernels::normal_draw(key, static_cast<uint64_t>(row * window.full_columns + column));
}

}  // namespace

void normal_fill_cuda_(const at::Tensor& w_RC, const LogicalWindow& window, uint64_t key,
                       float deviation) {
  const c10::cuda::CUDAGuard guard(w_RC.device());
  const int64_t count = w_RC.numel(), threads = 256;
  if (count == 0) return;
  fill<<<static_cast<unsigned>((count + threads - 1) / threads), threads, 0,
         c10::cuda::getCurrentCUDAStream()>>>(w_RC.mutable_data_ptr<float>(), w_RC.size(1), count,
                                              window, key, deviation);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace phalanx
