#pragma once
// The tensors that the row kernels of CPU and CUDA take, and the way from an element type at run
// time to the instance that was compiled for it. Local, no state.
#include <ATen/core/Tensor.h>
#include <c10/util/BFloat16.h>
#include <c10/util/Exception.h>

namespace phalanx::kernels {

/// Contiguous, fp32 or bf16, on CPU or CUDA: all that a run computes with. What else a test brings
/// is computed by the plain twins.
inline bool has_row_kernel(const at::Tensor& x) {
  return (x.is_cpu() || x.is_cuda()) && x.is_contiguous() &&
         (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

/// body(T{}) for the C++ type T of `dtype`, float or BFloat16.
template <typename Body>
inline decltype(auto) with_float_type(at::ScalarType dtype, const Body& body) {
  TORCH_INTERNAL_ASSERT(dtype == at::kFloat || dtype == at::kBFloat16);
  if (dtype == at::kFloat) return body(float{});
  return body(c10::BFloat16{});
}

}  // namespace phalanx::kernels
