#pragma once
// The rotation of one token's heads as the threads of a CUDA block share it (rope.h says what is
// computed). Host-device, local, no state.
#include "parallel/kernels/row_packs.h"

namespace phalanx::kernels {

struct RopeRow {
  const float *cos, *sin;  // [half], of the token's position
  int64_t num_heads, head_dim, half;
  float sign;  // -1 turns the other way
};

/// x: heads side by side, in place. W divides half and head_dim.
template <int W, typename T>
PHALANX_HOST_DEVICE inline void rotate_heads(RowThread thread, const RopeRow& row, T* x) {
  const int64_t packs = row.half / W;
  for (int64_t p = thread.index; p < row.num_heads * packs; p += thread.count) {
    const int64_t angle = p % packs * W;
    T* x1 = x + p / packs * row.head_dim + angle;
    T* x2 = x1 + row.half;
    const Floats<W> a = load_floats<W>(x1), b = load_floats<W>(x2);
    Floats<W> turned1, turned2;
    for (int i = 0; i < W; ++i) {
      const float c = row.cos[angle + i], s = row.sign * row.sin[angle + i];
      turned1.value[i] = a.value[i] * c - b.value[i] * s;
      turned2.value[i] = b.value[i] * c + a.value[i] * s;
    }
    store_floats<W>(x1, turned1);
    store_floats<W>(x2, turned2);
  }
}

}  // namespace phalanx::kernels
