#pragma once
// Sums and maxima over the threads of a CUDA block, in a fixed order, given to all its threads.
// Called by every thread of the block; blockDim.x is a multiple of 32, at most 1,024.
#include <cmath>

namespace phalanx::kernels {

template <class Combine>
__device__ inline float block_reduce(float value, float neutral, const Combine& combine) {
  __shared__ float of_warps[32];
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int offset = 16; offset > 0; offset /= 2) {
    value = combine(value, __shfl_xor_sync(0xffffffffu, value, offset));
  }
  if (lane == 0) of_warps[warp] = value;
  __syncthreads();
  value = lane < blockDim.x / 32 ? of_warps[lane] : neutral;
  for (int offset = 16; offset > 0; offset /= 2) {
    value = combine(value, __shfl_xor_sync(0xffffffffu, value, offset));
  }
  __syncthreads();  // of_warps may be written again
  return value;
}

__device__ inline float block_sum(float value) {
  return block_reduce(value, 0.0f, [](float a, float b) { return a + b; });
}

__device__ inline float block_max(float value) {
  return block_reduce(value, -INFINITY, [](float a, float b) { return fmaxf(a, b); });
}

}  // namespace phalanx::kernels
