#pragma once
// A block of a row kernel on the CPU: its threads one after another, each over its own elements.
// Local.
#include <ATen/core/Tensor.h>

#include "parallel/kernels/row_packs.h"

namespace phalanx {

/// What run(thread) returns, added up in thread order.
template <class Run>
float sum_over_threads(int count, const Run& run) {
  float sum = 0.0F;
  for (int index = 0; index < count; ++index) sum += run(kernels::RowThread{index, count});
  return sum;
}

template <class Run>
void for_each_thread(int count, const Run& run) {
  for (int index = 0; index < count; ++index) run(kernels::RowThread{index, count});
}

/// run.template operator()<T, W>() for both types, whole accesses and single elements.
template <class Run>
void for_types_and_widths(const Run& run) {
  run.template operator()<float, 1>();
  run.template operator()<float, kernels::kWidePack<float>>();
  run.template operator()<c10::BFloat16, 1>();
  run.template operator()<c10::BFloat16, kernels::kWidePack<c10::BFloat16>>();
}

template <typename T>
at::Tensor as_type(const at::Tensor& x) {
  return x.to(c10::CppTypeToScalarType<T>::value);
}

/// Relative error that rounding once to T may leave, with room for sums in another order.
template <typename T>
double rounding_of() {
  return std::is_same_v<T, float> ? 2e-6 : 4e-3;
}

}  // namespace phalanx
