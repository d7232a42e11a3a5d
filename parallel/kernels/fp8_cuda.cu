#include "parallel/kernels/fp8_cuda.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "parallel/kernels/block_reduce.cuh"
#include "parallel/kernels/fp8_row.h"
#include "parallel/kernels/row_launch.cuh"

namespace phalanx {
namespace kernels {
namespace {

using Fp8 = c10::Float8_e4m3fn;

constexpr unsigned kThreads = 256, kMostBlocks = 2048;

__device__ RowThread grid_thread() {
  return {static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x),
          static_cast<int>(gridDim.x * blockDim.x)};
}

/// Magnitudes order as their bits do, and not a number lies above them all; a maximum does not
/// depend on the order in which it is taken.
template <typename T, int W>
__global__ void largest_magnitude(const T* x, int64_t n, unsigned* largest_bits) {
  const RowThread thread = grid_thread();
  unsigned largest = 0;
  for (int64_t j = thread.first<W>(); j < n; j += thread.step<W>()) {
    const Floats<W> value = load_floats<W>(x + j);
    for (int i = 0; i < W; ++i) largest = max(largest, __float_as_uint(fabsf(value.value[i])));
  }
  for (int offset = 16; offset > 0; offset /= 2) {
    largest = max(largest, __shfl_xor_sync(0xffffffffu, largest, offset));
  }
  if (threadIdx.x % 32 == 0) atomicMax(largest_bits, largest);
}

/// The scale in place of the largest magnitude.
__global__ void make_scale(float* scale) { *scale = fp8_scale(*scale); }

template <typename T, int W>
__global__ void write_rows(const T* x, const float* scale, Fp8* y, int64_t n) {
  write_fp8<W>(grid_thread(), x, *scale, y, n);
}

constexpr int kTile = 64;

/// blockDim: kTile x 4.
template <typename T>
__global__ void write_transposed(const T* x, const float* scale, Fp8* y, int64_t rows,
                                 int64_t columns) {
  __shared__ Fp8 tile[kTile][kTile + 4];
  const int64_t first_row = int64_t{blockIdx.y} * kTile, first_column = int64_t{blockIdx.x} * kTile;
  const int64_t column = first_column + threadIdx.x;
  for (int64_t r = threadIdx.y; r < kTile && first_row + r < rows; r += blockDim.y) {
    if (column >= columns) break;
    const float value = static_cast<float>(x[(first_row + r) * columns + column]);
    tile[r][threadIdx.x] = static_cast<Fp8>(fp8_scaled(value, *scale));
  }
  __syncthreads();
  const int64_t row = first_row + threadIdx.x;
  for (int64_t c = threadIdx.y; c < kTile && first_column + c < columns; c += blockDim.y) {
    if (row < rows) y[(first_column + c) * rows + row] = tile[threadIdx.x][c];
  }
}

}  // namespace
}  // namespace kernels

at::Tensor to_fp8_cuda(const at::Tensor& x_RC, bool transpose, const at::Tensor& scale) {
  const c10::cuda::CUDAGuard guard(x_RC.device());
  const auto stream = c10::cuda::getCurrentCUDAStream();
  const int64_t rows = x_RC.size(0), columns = x_RC.size(1), n = x_RC.numel();
  const at::Tensor y = at::empty(
      transpose ? std::vector<int64_t>{columns, rows} : std::vector<int64_t>{rows, columns},
      x_RC.options().dtype(at::kFloat8_e4m3fn));
  scale.zero_();
  float* factor = scale.mutable_data_ptr<float>();
  kernels::with_float_type(x_RC.scalar_type(), [&](auto type) {
    using T = decltype(type);
    const T* x = static_cast<const T*>(x_RC.const_data_ptr());
    auto* values = static_cast<kernels::Fp8*>(y.mutable_data_ptr());
    kernels::with_width<T>(kernels::takes_wide_packs<T>(n, {x, values}), [&](auto width) {
      constexpr int W = decltype(width)::value;
      const unsigned blocks =
          std::clamp(kernels::blocks_for(n, kernels::kThreads * W), 1u, kernels::kMostBlocks);
      kernels::largest_magnitude<T, W>
          <<<blocks, kernels::kThreads, 0, stream>>>(x, n, reinterpret_cast<unsigned*>(factor));
      kernels::make_scale<<<1, 1, 0, stream>>>(factor);
      if (transpose) return;
      kernels::write_rows<T, W><<<blocks, kernels::kThreads, 0, stream>>>(x, factor, values, n);
    });
    if (transpose && n > 0) {
      const dim3 grid(kernels::blocks_for(columns, kernels::kTile),
                      kernels::blocks_for(rows, kernels::kTile));
      kernels::write_transposed<T>
          <<<grid, dim3(kernels::kTile, 4), 0, stream>>>(x, factor, values, rows, columns);
    }
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return y;
}

}  // namespace phalanx
