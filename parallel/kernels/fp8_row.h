#pragma once
// The scaling and rounding of an element to e4m3 (fp8.h says what is computed). Host-device, local,
// no state. CPU and CUDA give equal bits.
#include <c10/util/Float8_e4m3fn.h>

#include "parallel/kernels/row_packs.h"

namespace phalanx::kernels {

inline constexpr float kLargestE4m3 = 448.0f;

/// Of a tensor whose largest magnitude is given; of one that is zero, 1. Not a number stays so.
PHALANX_HOST_DEVICE inline float fp8_scale(float largest) {
  return largest == 0.0f ? 1.0f : largest / kLargestE4m3;
}

PHALANX_HOST_DEVICE inline float fp8_scaled(float x, float scale) {
  const float y = x / scale;
  return y > kLargestE4m3 ? kLargestE4m3 : (y < -kLargestE4m3 ? -kLargestE4m3 : y);
}

/// y = x / scale, rounded to e4m3, this thread's elements of n.
template <int W, typename T>
PHALANX_HOST_DEVICE inline void write_fp8(RowThread thread, const T* x, float scale,
                                          c10::Float8_e4m3fn* y, int64_t n) {
  for (int64_t j = thread.first<W>(); j < n; j += thread.step<W>()) {
    Floats<W> value = load_floats<W>(x + j);
    for (int i = 0; i < W; ++i) value.value[i] = fp8_scaled(value.value[i], scale);
    store_floats<W>(y + j, value);
  }
}

}  // namespace phalanx::kernels
