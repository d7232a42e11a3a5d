#pragma once
// The gradient of an embedding row as one thread of CUDA sums it: the tokens of a row lie side by
// side after a stable sort, and the thread at the first of them adds them all in order.
// Host-device, local, no state.
#include "parallel/kernels/row_packs.h"

namespace phalanx::kernels {

template <typename T>
struct SortedRows {
  const int64_t* row;  // ascending, of each position
  const int64_t*
      source;      // which row of `value` a position stands for; ascending where row is equal
  int64_t count;   // positions
  const T* value;  // [count, d]
  float* grad;     // [num_rows, d], rows `grad_stride` apart
  int64_t num_rows, d, grad_stride;
};

/// Columns [column, column + W) of the run of equal rows that begins at `position`; nothing where
/// none begins, or where the row is another part's.
template <int W, typename T>
PHALANX_HOST_DEVICE inline void add_run(const SortedRows<T>& rows, int64_t position,
                                        int64_t column) {
  const int64_t row = rows.row[position];
  if (row < 0 || row >= rows.num_rows) return;
  if (position > 0 && rows.row[position - 1] == row) return;
  float* grad = rows.grad + row * rows.grad_stride + column;
  float sum[W];
  for (int i = 0; i < W; ++i) sum[i] = grad[i];
  for (int64_t p = position; p < rows.count && rows.row[p] == row; ++p) {
    const Floats<W> x = load_floats<W>(rows.value + rows.source[p] * rows.d + column);
    for (int i = 0; i < W; ++i) sum[i] += x.value[i];
  }
  for (int i = 0; i < W; ++i) grad[i] = sum[i];
}

}  // namespace phalanx::kernels
