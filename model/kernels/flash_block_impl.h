#pragma once
// What flash_forward_impl.h and flash_backward_impl.h share: block sizes, which keys a query sees,
// and rows of 64 scores as vectors. Included by one file for each instruction set; all is local to
// it.
#include <cstdint>

#include "model/kernels/flash_block.h"
#include "model/kernels/vector_exp_impl.h"
#include "parallel/kernels/isa_fp32.h"
#include "parallel/kernels/packed_panels_impl.h"

namespace phalanx::kernels {
namespace {

constexpr float kMinusInfinity = -__builtin_inff();

/// Columns [begin, end) of a block of keys at `first_key` that the query at `query` sees.
struct Visible {
  int64_t begin, end;
};

inline Visible visible_keys(const FlashRun& run, int64_t query, int64_t first_key) {
  const int64_t oldest = run.window > 0 ? query - run.window + 1 - first_key : 0;
  const int64_t end = smaller(query + 1, run.length) - first_key;
  return {oldest < 0 ? 0 : oldest, end < 0 ? 0 : smaller(end, kKeys)};
}

/// The first block of keys that some query from `query` on sees.
inline int64_t first_key_block(const FlashRun& run, int64_t query) {
  const int64_t oldest = run.window > 0 ? query - run.window + 1 : 0;
  return oldest <= 0 ? 0 : oldest / kKeys * kKeys;
}

template <class T>
void store_row(void* to, int64_t offset, const float* row, int64_t size, float factor) {
  T* out = static_cast<T*>(to) + offset;
  if constexpr (sizeof(T) == sizeof(float)) {
    for (int64_t i = 0; i < size; ++i) out[i] = row[i] * factor;
  } else {
    for (int64_t i = 0; i < size; ++i) out[i] = rounded(row[i] * factor);
  }
}

template <class Vector>
inline float sum_of_lanes(Vector v) {
  constexpr int kLanes = sizeof(Vector) / sizeof(float);
  float sum = 0.0f;
  for (int l = 0; l < kLanes; ++l) sum += v[l];
  return sum;
}

template <class T>
void hide(T* row, const Visible& keys, T value) {
  for (int64_t j = 0; j < keys.begin; ++j) row[j] = value;
  for (int64_t j = keys.end; j < kKeys; ++j) row[j] = value;
}

}  // namespace
}  // namespace phalanx::kernels
