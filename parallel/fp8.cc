#include "parallel/fp8.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_scaled_mm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/mm.h>

#include <limits>

#include "parallel/kernels/fp8_cuda.h"
#include "parallel/kernels/fp8_row.h"

namespace phalanx {
namespace {

/// cuBLASLt adds up fewer bits where it may; gradients do not let it.
enum class Accumulation { kFast, kExact };

/// a_MK b_NK^T.
at::Tensor product(const Fp8Tensor& a_MK, const Fp8Tensor& b_NK, at::ScalarType type,
                   Accumulation accumulation) {
  if (a_MK.values.is_cuda()) {
    return at::_scaled_mm(a_MK.values, b_NK.values.t(), a_MK.scale, b_NK.scale, /*bias=*/{},
                          /*scale_result=*/{}, type, accumulation == Accumulation::kFast);
  }
  const at::Tensor sum_MN = at::mm(a_MK.values.to(at::kFloat), b_NK.values.to(at::kFloat).t());
  return sum_MN.mul_(a_MK.scale * b_NK.scale).to(type);
}

}  // namespace

Fp8Tensor to_fp8(const at::Tensor& x_RC, Fp8Layout layout) {
  const bool transpose = layout == Fp8Layout::kTransposed;
  if (x_RC.is_cuda()) {
    const at::Tensor scale = at::empty({}, x_RC.options().dtype(at::kFloat));
    const at::Tensor values = to_fp8_cuda(x_RC.contiguous(), transpose, scale);
    return {values, scale};
  }
  const at::Tensor x = (transpose ? x_RC.t() : x_RC).to(at::kFloat).contiguous();
  const at::Tensor largest =
      at::linalg_vector_norm(x, std::numeric_limits<double>::infinity(), {}, false, at::kFloat);
  const float scale = kernels::fp8_scale(largest.item<float>());
  const at::Tensor values = at::empty(x.sizes(), at::TensorOptions(at::kFloat8_e4m3fn));
  kernels::write_fp8<1>({}, x.const_data_ptr<float>(), scale,
                        values.mutable_data_ptr<c10::Float8_e4m3fn>(), x.numel());
  return {values, at::full({}, scale, at::TensorOptions(at::kFloat))};
}

at::Tensor linear_forward(const at::Tensor& x_NI, const at::Tensor& weight_OI, Products products) {
  if (products == Products::kCompute || !takes_fp8(x_NI.size(1), weight_OI.size(0))) {
    return linear_forward(x_NI, weight_OI);
  }
  return product(to_fp8(x_NI), to_fp8(weight_OI), x_NI.scalar_type(), Accumulation::kFast);
}

at::Tensor linear_backward_input(const at::Tensor& dy_NO, const at::Tensor& weight_OI,
                                 Products products) {
  if (products == Products::kCompute || !takes_fp8(dy_NO.size(1), weight_OI.size(1))) {
    return linear_backward_input(dy_NO, weight_OI);
  }
  return product(to_fp8(dy_NO), to_fp8(weight_OI, Fp8Layout::kTransposed), dy_NO.scalar_type(),
                 Accumulation::kExact);
}

void linear_backward_weight(const at::Tensor& dweight_OI, const at::Tensor& dy_NO,
                            const at::Tensor& x_NI, Products products) {
  if (products == Products::kCompute || !takes_fp8(dy_NO.size(0), x_NI.size(1))) {
    return linear_backward_weight(dweight_OI, dy_NO, x_NI);
  }
  dweight_OI.add_(product(to_fp8(dy_NO, Fp8Layout::kTransposed),
                          to_fp8(x_NI, Fp8Layout::kTransposed), at::kFloat, Accumulation::kExact));
}

}  // namespace phalanx
