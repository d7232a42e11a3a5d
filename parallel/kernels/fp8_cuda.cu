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

/// The scales in place of the largest magnitudes.
__global__ void make_scales(float* scale, int64_t n) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < n) scale[i] = fp8_scale(scale[i]);
}

template <typename T, int W>
__global__ void write_all(const T* x, const float* scale, Fp8* y, int64_t n) {
  write_fp8<W>(grid_thread(), x, *scale, y, n);
}

/// A block a row: its scale, then its values, which the second pass finds in the cache.
template <typename T, int W>
__global__ void scale_and_write_row(const T* x, float* scale, Fp8* y, int64_t columns) {
  const T* row = x + int64_t{blockIdx.x} * columns;
  // As numbers, NaN would be lost in a maximum of floats; it lies above them all as bits do.
  unsigned largest = 0;
  const RowThread thread = this_thread();
  for (int64_t j = thread.first<W>(); j < columns; j += thread.step<W>()) {
    const Floats<W> value = load_floats<W>(row + j);
    for (int i = 0; i < W; ++i) largest = max(largest, __float_as_uint(fabsf(value.value[i])));
  }
  __shared__ unsigned of_block;
  if (threadIdx.x == 0) of_block = 0;
  __syncthreads();
  atomicMax(&of_block, __reduce_max_sync(0xffffffffu, largest));
  __syncthreads();
  const float factor = fp8_scale(__uint_as_float(of_block));
  if (threadIdx.x == 0) scale[blockIdx.x] = factor;
  write_fp8<W>(thread, row, factor, y + int64_t{blockIdx.x} * columns, columns);
}

constexpr int kTile = 64;

/// A thread a column (or W of them) of kTile rows. blockDim.y is 1.
template <typename T, int W>
__global__ void largest_of_columns(const T* x, unsigned* largest_bits, int64_t rows,
                                   int64_t columns) {
  const int64_t column = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * W;
  if (column >= columns) return;
  const int64_t first = int64_t{blockIdx.y} * kTile;
  const int64_t end = first + kTile < rows ? first + kTile : rows;
  unsigned largest[W] = {};
  for (int64_t r = first; r < end; ++r) {
    const Floats<W> value = load_floats<W>(x + r * columns + column);
    for (int i = 0; i < W; ++i) {
      largest[i] = max(largest[i], __float_as_uint(fabsf(value.value[i])));
    }
  }
  for (int i = 0; i < W; ++i) atomicMax(largest_bits + column + i, largest[i]);
}

/// blockDim: kTile x 4. A column's scale is scale[column * scale_step].
template <typename T>
__global__ void write_transposed(const T* x, const float* scale, int64_t scale_step, Fp8* y,
                                 int64_t rows, int64_t columns) {
  __shared__ Fp8 tile[kTile][kTile + 4];
  const int64_t first_row = int64_t{blockIdx.y} * kTile, first_column = int64_t{blockIdx.x} * kTile;
  const int64_t column = first_column + threadIdx.x;
  if (column < columns) {
    const float factor = scale[column * scale_step];
    for (int64_t r = threadIdx.y; r < kTile && first_row + r < rows; r += blockDim.y) {
      const float value = static_cast<float>(x[(first_row + r) * columns + column]);
      tile[r][threadIdx.x] = static_cast<Fp8>(fp8_scaled(value, factor));
    }
  }
  __syncthreads();
  const int64_t row = first_row + threadIdx.x;
  for (int64_t c = threadIdx.y; c < kTile && first_column + c < columns; c += blockDim.y) {
    if (row < rows) y[(first_column + c) * rows + row] = tile[threadIdx.x][c];
  }
}

/// A matrix on its way to e4m3.
template <typename T>
struct Cast {
  const T* x;
  float* scale;
  Fp8* y;
  int64_t rows, columns;
  cudaStream_t stream;
  bool one_scale;

  int64_t numel() const { return rows * columns; }
  unsigned tiles(int64_t length) const { return blocks_for(length, kTile); }
  unsigned* bits() const { return reinterpret_cast<unsigned*>(scale); }

  template <int W>
  void find_one_scale() const {
    largest_magnitude<T, W><<<grid<W>(), kThreads, 0, stream>>>(x, numel(), bits());
    make_scales<<<1, 1, 0, stream>>>(scale, 1);
  }
  template <int W>
  void find_column_scales() const {
    const dim3 grid(blocks_for(columns, kThreads * W), tiles(rows));
    largest_of_columns<T, W><<<grid, kThreads, 0, stream>>>(x, bits(), rows, columns);
    make_scales<<<blocks_for(columns, kThreads), kThreads, 0, stream>>>(scale, columns);
  }
  template <int W>
  unsigned grid() const {
    return std::clamp(blocks_for(numel(), kThreads * W), 1u, kMostBlocks);
  }
  template <int W>
  void write() const {
    if (!one_scale) {
      const auto blocks = static_cast<unsigned>(rows);
      scale_and_write_row<T, W>
          <<<blocks, row_threads(columns, W), 0, stream>>>(x, scale, y, columns);
      return;
    }
    find_one_scale<W>();
    write_all<T, W><<<grid<W>(), kThreads, 0, stream>>>(x, scale, y, numel());
  }
  template <int W>
  void transpose() const {
    one_scale ? find_one_scale<W>() : find_column_scales<W>();
    write_transposed<T><<<dim3(tiles(columns), tiles(rows)), dim3(kTile, 4), 0, stream>>>(
        x, scale, one_scale ? 0 : 1, y, rows, columns);
  }
};

}  // namespace
}  // namespace kernels

at::Tensor to_fp8_cuda(const at::Tensor& x_RC, bool transpose, const at::Tensor& scale) {
  const c10::cuda::CUDAGuard guard(x_RC.device());
  const int64_t rows = x_RC.size(0), columns = x_RC.size(1);
  const at::Tensor y = at::empty(
      transpose ? std::vector<int64_t>{columns, rows} : std::vector<int64_t>{rows, columns},
      x_RC.options().dtype(at::kFloat8_e4m3fn));
  scale.zero_();
  if (x_RC.numel() == 0) return y;
  kernels::with_float_type(x_RC.scalar_type(), [&](auto type) {
    using T = decltype(type);
    const kernels::Cast<T> cast{static_cast<const T*>(x_RC.const_data_ptr()),
                                scale.mutable_data_ptr<float>(),
                                static_cast<kernels::Fp8*>(y.mutable_data_ptr()),
                                rows,
                                columns,
                                c10::cuda::getCurrentCUDAStream(),
                                scale.numel() == 1};
    // Of rows, since a row or column may have a scale of its own.
    const bool wide = kernels::takes_wide_packs<T>(columns, {cast.x, cast.y});
    kernels::with_width<T>(wide, [&](auto width) {
      constexpr int W = decltype(width)::value;
      transpose ? cast.template transpose<W>() : cast.template write<W>();
    });
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return y;
}

}  // namespace phalanx
