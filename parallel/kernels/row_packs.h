#pragma once
// What the row kernels of CUDA share with their tests on the CPU: one thread's elements of a row,
// taken W side by side. Each kernel's arithmetic is a function of a RowThread, so a test runs the
// threads of a block one after another and needs no GPU. Local, no state. T is float or
// c10::BFloat16; sums are in fp32, results are rounded once.
#include <c10/util/BFloat16.h>

#include <cstdint>

#include "parallel/kernels/host_device.h"

namespace phalanx::kernels {

/// Elements of one 16-byte access.
template <typename T>
inline constexpr int kWidePack = 16 / static_cast<int>(sizeof(T));

/// Thread `index` of the `count` that share a row: its packs are those of number index,
/// index + count, ...
struct RowThread {
  int index = 0;
  int count = 1;

  template <int W>
  PHALANX_HOST_DEVICE int64_t first() const {
    return static_cast<int64_t>(index) * W;
  }
  template <int W>
  PHALANX_HOST_DEVICE int64_t step() const {
    return static_cast<int64_t>(count) * W;
  }
};

/// W elements as they lie in memory, on an address that one access reaches.
template <typename T, int W>
struct alignas(sizeof(T) * W) Pack {
  T value[W];
};

template <int W>
struct Floats {
  float value[W];
};

template <int W, typename T>
PHALANX_HOST_DEVICE inline Floats<W> load_floats(const T* from) {
  const Pack<T, W> pack = *reinterpret_cast<const Pack<T, W>*>(from);
  Floats<W> result;
  for (int i = 0; i < W; ++i) result.value[i] = static_cast<float>(pack.value[i]);
  return result;
}

template <int W, typename T>
PHALANX_HOST_DEVICE inline void store_floats(T* to, const Floats<W>& values) {
  Pack<T, W> pack;
  for (int i = 0; i < W; ++i) pack.value[i] = static_cast<T>(values.value[i]);
  *reinterpret_cast<Pack<T, W>*>(to) = pack;
}

}  // namespace phalanx::kernels
