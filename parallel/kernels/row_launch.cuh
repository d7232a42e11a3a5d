#pragma once
// How row kernels are started: access width as a template argument beside the element type
// (row_types.h), threads of a block, the stream. Local; on the current stream of the tensors'
// device.
#include <ATen/core/Tensor.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <type_traits>

#include "parallel/kernels/row_packs.h"
#include "parallel/kernels/row_types.h"

namespace phalanx::kernels {

template <int W>
using Width = std::integral_constant<int, W>;

/// Do rows of `length` elements at these addresses take accesses of 16 bytes?
template <typename T>
inline bool takes_wide_packs(int64_t length, std::initializer_list<const void*> addresses) {
  return length % kWidePack<T> == 0 && std::all_of(addresses.begin(), addresses.end(), [](auto* a) {
           return reinterpret_cast<uintptr_t>(a) % 16 == 0;
         });
}

/// run(Width<W>{}) for W a whole access or one element.
template <typename T, class Run>
inline void with_width(bool wide, const Run& run) {
  wide ? run(Width<kWidePack<T>>{}) : run(Width<1>{});
}

/// Threads for a row of `length` elements in packs of `width`: a multiple of 32, at most 512.
inline unsigned row_threads(int64_t length, int width) {
  const int64_t packs = (length + width - 1) / width;
  return static_cast<unsigned>(std::clamp<int64_t>((packs + 31) / 32 * 32, 32, 512));
}

inline unsigned blocks_for(int64_t count, int64_t per_block) {
  return static_cast<unsigned>((count + per_block - 1) / per_block);
}

__device__ inline RowThread this_thread() {
  return {static_cast<int>(threadIdx.x), static_cast<int>(blockDim.x)};
}

}  // namespace phalanx::kernels
