#pragma once
// SwiGLU of one token's features as the threads of CUDA blocks share it (swiglu.h says what is
// computed). Host-device, local, no state.
#include <cmath>

#include "parallel/kernels/row_packs.h"

namespace phalanx::kernels {

PHALANX_HOST_DEVICE inline float logistic(float x) { return 1.0f / (1.0f + expf(-x)); }

/// gate_up: [gate | up], f features each.
template <int W, typename T>
PHALANX_HOST_DEVICE inline void write_swiglu(RowThread thread, const T* gate_up, T* y, int64_t f) {
  for (int64_t j = thread.first<W>(); j < f; j += thread.step<W>()) {
    Floats<W> gate = load_floats<W>(gate_up + j);
    const Floats<W> up = load_floats<W>(gate_up + f + j);
    for (int i = 0; i < W; ++i) {
      gate.value[i] = up.value[i] * gate.value[i] * logistic(gate.value[i]);
    }
    store_floats<W>(y + j, gate);
  }
}

template <int W, typename T>
PHALANX_HOST_DEVICE inline void write_swiglu_gradient(RowThread thread, const T* dy,
                                                      const T* gate_up, T* dgate_up, int64_t f) {
  for (int64_t j = thread.first<W>(); j < f; j += thread.step<W>()) {
    const Floats<W> d = load_floats<W>(dy + j), gate = load_floats<W>(gate_up + j);
    const Floats<W> up = load_floats<W>(gate_up + f + j);
    Floats<W> dgate, dup;
    for (int i = 0; i < W; ++i) {
      const float g = gate.value[i], s = logistic(g);
      dgate.value[i] = d.value[i] * up.value[i] * s * (1.0f + g * (1.0f - s));
      dup.value[i] = d.value[i] * g * s;
    }
    store_floats<W>(dgate_up + j, dgate);
    store_floats<W>(dgate_up + f + j, dup);
  }
}

}  // namespace phalanx::kernels
