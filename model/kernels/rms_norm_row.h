#pragma once
// RMSNorm of one row as the threads of a CUDA block share it (rms_norm.h says what is computed).
// Sums over the block come between the functions. Host-device, local, no state.
#include <cmath>

#include "parallel/kernels/row_packs.h"

namespace phalanx::kernels {

/// This thread's part of the sum of squares of a row.
template <int W, typename T>
PHALANX_HOST_DEVICE inline float sum_of_squares(RowThread thread, const T* x, int64_t d) {
  float sum = 0.0f;
  for (int64_t j = thread.first<W>(); j < d; j += thread.step<W>()) {
    const Floats<W> value = load_floats<W>(x + j);
    for (int i = 0; i < W; ++i) sum += value.value[i] * value.value[i];
  }
  return sum;
}

/// h = x + delta, rounded; this thread's part of the sum of squares of h.
template <int W, typename T>
PHALANX_HOST_DEVICE inline float add_and_square(RowThread thread, const T* x, const T* delta, T* h,
                                                int64_t d) {
  float sum = 0.0f;
  for (int64_t j = thread.first<W>(); j < d; j += thread.step<W>()) {
    Floats<W> value = load_floats<W>(x + j);
    const Floats<W> more = load_floats<W>(delta + j);
    for (int i = 0; i < W; ++i) {
      value.value[i] = static_cast<float>(static_cast<T>(value.value[i] + more.value[i]));
      sum += value.value[i] * value.value[i];
    }
    store_floats<W>(h + j, value);
  }
  return sum;
}

PHALANX_HOST_DEVICE inline float rstd_of(float sum_of_squares, int64_t d, float eps) {
  return 1.0f / sqrtf(sum_of_squares / static_cast<float>(d) + eps);
}

template <int W, typename T>
PHALANX_HOST_DEVICE inline void write_norm(RowThread thread, const T* x, const T* weight,
                                           float rstd, T* y, int64_t d) {
  for (int64_t j = thread.first<W>(); j < d; j += thread.step<W>()) {
    Floats<W> value = load_floats<W>(x + j);
    const Floats<W> w = load_floats<W>(weight + j);
    for (int i = 0; i < W; ++i) {
      value.value[i] = w.value[i] * static_cast<float>(static_cast<T>(value.value[i] * rstd));
    }
    store_floats<W>(y + j, value);
  }
}

/// What the backward of one row reads; dresidual may be null.
template <typename T>
struct NormRow {
  const T *dy, *x, *weight, *dresidual;
  float rstd;
};

/// This thread's part of the sum of dy w xhat.
template <int W, typename T>
PHALANX_HOST_DEVICE inline float norm_dot(RowThread thread, const NormRow<T>& row, int64_t d) {
  float sum = 0.0f;
  for (int64_t j = thread.first<W>(); j < d; j += thread.step<W>()) {
    const Floats<W> dy = load_floats<W>(row.dy + j), x = load_floats<W>(row.x + j);
    const Floats<W> w = load_floats<W>(row.weight + j);
    for (int i = 0; i < W; ++i) sum += dy.value[i] * w.value[i] * (x.value[i] * row.rstd);
  }
  return sum;
}

/// dx = rstd (dy w - xhat mean) + dresidual with mean = sum(dy w xhat) / d, and dweight += dy xhat.
/// The columns of dweight that a thread adds to are the same in every row.
template <int W, typename T>
PHALANX_HOST_DEVICE inline void write_norm_gradient(RowThread thread, const NormRow<T>& row,
                                                    float mean, T* dx, float* dweight, int64_t d) {
  for (int64_t j = thread.first<W>(); j < d; j += thread.step<W>()) {
    const Floats<W> dy = load_floats<W>(row.dy + j), x = load_floats<W>(row.x + j);
    const Floats<W> w = load_floats<W>(row.weight + j);
    Floats<W> past = {};
    if (row.dresidual != nullptr) past = load_floats<W>(row.dresidual + j);
    Floats<W> result;
    for (int i = 0; i < W; ++i) {
      const float xhat = x.value[i] * row.rstd;
      result.value[i] = row.rstd * (dy.value[i] * w.value[i] - xhat * mean) + past.value[i];
      dweight[j + i] += dy.value[i] * xhat;
    }
    store_floats<W>(dx + j, result);
  }
}

}  // namespace phalanx::kernels
