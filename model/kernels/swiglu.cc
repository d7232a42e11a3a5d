#include "model/kernels/swiglu.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>

#include "model/kernels/row_kernels_cuda.h"
#include "parallel/kernels/row_math.h"
#include "parallel/kernels/row_types.h"

namespace phalanx {
namespace {

using kernels::has_row_kernel;
using kernels::sigmoid;
using kernels::with_float_type;

template <typename T>
at::Tensor forward(const at::Tensor& gate_up_N2f) {
  const int64_t n = gate_up_N2f.size(0), f = gate_up_N2f.size(1) / 2;
  at::Tensor y_Nf = at::empty({n, f}, gate_up_N2f.options());
  const T* in = gate_up_N2f.const_data_ptr<T>();
  T* y = y_Nf.mutable_data_ptr<T>();
  at::parallel_for(0, n, 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* gate = in + i * 2 * f;
      for (int64_t j = 0; j < f; ++j) {
        const float g = float(gate[j]);
        y[i * f + j] = T(float(gate[f + j]) * g * sigmoid(g));
      }
    }
  });
  return y_Nf;
}

template <typename T>
at::Tensor backward(const at::Tensor& dy_Nf, const at::Tensor& gate_up_N2f) {
  const int64_t n = gate_up_N2f.size(0), f = gate_up_N2f.size(1) / 2;
  at::Tensor d_N2f = at::empty_like(gate_up_N2f);
  const T* in = gate_up_N2f.const_data_ptr<T>();
  const T* dy = dy_Nf.const_data_ptr<T>();
  T* out = d_N2f.mutable_data_ptr<T>();
  at::parallel_for(0, n, 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* gate = in + i * 2 * f;
      T* dgate = out + i * 2 * f;
      for (int64_t j = 0; j < f; ++j) {
        const float g = float(gate[j]), s = sigmoid(g), d = float(dy[i * f + j]);
        dgate[j] = T(d * float(gate[f + j]) * s * (1.0f + g * (1.0f - s)));
        dgate[f + j] = T(d * g * s);
      }
    }
  });
  return d_N2f;
}

}  // namespace

at::Tensor swiglu(const at::Tensor& gate_up_N2f) {
  RECORD_USER_SCOPE("swiglu");
  if (!has_row_kernel(gate_up_N2f)) return swiglu_plain(gate_up_N2f);
  if (gate_up_N2f.is_cuda()) return swiglu_cuda(gate_up_N2f);
  return with_float_type(gate_up_N2f.scalar_type(),
                         [&](auto type) { return forward<decltype(type)>(gate_up_N2f); });
}

at::Tensor swiglu_backward(const at::Tensor& dy_Nf, const at::Tensor& gate_up_N2f) {
  RECORD_USER_SCOPE("swiglu");
  if (!has_row_kernel(gate_up_N2f)) return swiglu_backward_plain(dy_Nf, gate_up_N2f);
  if (gate_up_N2f.is_cuda()) return swiglu_backward_cuda(dy_Nf, gate_up_N2f);
  const at::Tensor dy = dy_Nf.contiguous();
  return with_float_type(gate_up_N2f.scalar_type(),
                         [&](auto type) { return backward<decltype(type)>(dy, gate_up_N2f); });
}

at::Tensor swiglu_plain(const at::Tensor& gate_up_N2f) {
  const auto parts = gate_up_N2f.to(at::kFloat).chunk(2, 1);
  return (parts[1] * at::silu(parts[0])).to(gate_up_N2f.scalar_type());
}

at::Tensor swiglu_backward_plain(const at::Tensor& dy_Nf, const at::Tensor& gate_up_N2f) {
  const auto parts = gate_up_N2f.to(at::kFloat).chunk(2, 1);
  const at::Tensor s = at::sigmoid(parts[0]), dy = dy_Nf.to(at::kFloat);
  const at::Tensor dgate = dy * parts[1] * s * (1 + parts[0] * (1 - s));
  return at::cat({dgate, dy * parts[0] * s}, 1).to(gate_up_N2f.scalar_type());
}

}  // namespace phalanx
