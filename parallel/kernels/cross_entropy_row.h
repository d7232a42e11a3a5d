#pragma once
// The softmax cross-entropy of one row of logits, as the threads of a block share it: maximum and
// sum of exponentials in one pass (Milakov and Gimelshein, arXiv 1805.02867), then the gradient in
// place. Host-device, local, no state. A part of the vocabulary may be empty.
#include <cmath>

#include "parallel/kernels/row_packs.h"

namespace phalanx::kernels {

/// max of x and sum of exp(x - max) over some elements; none: -inf and 0.
struct SoftmaxSum {
  float max = -INFINITY;
  float sum = 0.0f;
};

/// The sum of `part`, relative to a maximum that is at least its own.
PHALANX_HOST_DEVICE inline float sum_relative_to(const SoftmaxSum& part, float max) {
  // Without elements part.max - max is -inf or, with max -inf too, not a number.
  return part.sum == 0.0f ? 0.0f : part.sum * expf(part.max - max);
}

/// This thread's elements of a row of v logits.
template <int W, typename T>
PHALANX_HOST_DEVICE inline SoftmaxSum scan_logits(RowThread thread, const T* logits, int64_t v) {
  SoftmaxSum total;
  for (int64_t j = thread.first<W>(); j < v; j += thread.step<W>()) {
    const Floats<W> x = load_floats<W>(logits + j);
    float max = total.max;
    for (int i = 0; i < W; ++i) max = x.value[i] > max ? x.value[i] : max;
    float sum = sum_relative_to(total, max);
    // Where all so far are -inf, x - max is not a number: each counts 0, and NaN stays one.
    const float base = max == -INFINITY ? 0.0f : max;
    for (int i = 0; i < W; ++i) sum += expf(x.value[i] - base);
    total = {max, sum};
  }
  return total;
}

/// A row's statistics over the whole vocabulary, and where its target lies in this part.
struct CrossEntropyRow {
  float max = 0.0f;
  float scale = 0.0f;   // 1 / sum of exp(x - max)
  bool counts = false;  // the token counts; else its gradient is 0 whatever the row holds
  int64_t target = -1;  // column of this part; outside [0, v): another part's
};

/// logits = softmax(logits) - onehot(target), or 0, this thread's elements, in place.
template <int W, typename T>
PHALANX_HOST_DEVICE inline void write_logit_gradient(RowThread thread, const CrossEntropyRow& row,
                                                     T* logits, int64_t v) {
  for (int64_t j = thread.first<W>(); j < v; j += thread.step<W>()) {
    Floats<W> x = load_floats<W>(logits + j);
    for (int i = 0; i < W; ++i) {
      const float p = expf(x.value[i] - row.max) * row.scale;
      x.value[i] = row.counts ? p - (j + i == row.target ? 1.0f : 0.0f) : 0.0f;
    }
    store_floats<W>(logits + j, x);
  }
}

}  // namespace phalanx::kernels
