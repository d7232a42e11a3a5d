#include "parallel/fp8.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_scaled_mm.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include <vector>

#include "parallel/kernels/fp8_cuda.h"
#include "parallel/kernels/fp8_row.h"

namespace phalanx {
namespace {

Fp8Scaling scaling_of(Products products) {
  return products == Products::kFp8Rowwise ? Fp8Scaling::kRows : Fp8Scaling::kTensor;
}

/// a_MK b_NK^T on any device.
at::Tensor product_plain(const Fp8Tensor& a_MK, const Fp8Tensor& b_NK) {
  const at::Tensor sum_MN =
      at::mm(a_MK.values_RC.to(at::kFloat), b_NK.values_RC.to(at::kFloat).t());
  return sum_MN.mul_(a_MK.scale).mul_(b_NK.scale.t());
}

/// cuBLASLt adds up fewer bits where it may; gradients do not let it.
enum class Accumulation { kFast, kExact };

at::Tensor product(const Fp8Tensor& a_MK, const Fp8Tensor& b_NK, at::ScalarType type,
                   Accumulation accumulation) {
  if (!a_MK.values_RC.is_cuda()) return product_plain(a_MK, b_NK).to(type);
  const bool rowwise = a_MK.scale.dim() == 2;  // its results are bf16
  return at::_scaled_mm(a_MK.values_RC, b_NK.values_RC.t(), a_MK.scale, b_NK.scale.t(), /*bias=*/{},
                        /*scale_result=*/{}, rowwise ? at::kBFloat16 : type,
                        accumulation == Accumulation::kFast)
      .to(type);
}

/// sum_MN (fp32) += a_MK b_NK^T.
void add_product(const at::Tensor& sum_MN, const Fp8Tensor& a_MK, const Fp8Tensor& b_NK) {
  if (!sum_MN.is_cuda()) {
    sum_MN.add_(product_plain(a_MK, b_NK));
  } else if (takes_fp8_product(sum_MN)) {
    fp8_add_product_cuda(sum_MN, a_MK.values_RC, a_MK.scale, b_NK.values_RC, b_NK.scale);
  } else {  // where it begins is not where cuBLASLt can write
    const at::Tensor aligned_MN = at::empty(sum_MN.sizes(), sum_MN.options()).zero_();
    fp8_add_product_cuda(aligned_MN, a_MK.values_RC, a_MK.scale, b_NK.values_RC, b_NK.scale);
    sum_MN.add_(aligned_MN);
  }
}

at::Tensor empty_scale(const at::Tensor& x_RC, Fp8Layout layout, Fp8Scaling scaling) {
  const int64_t rows = x_RC.size(layout == Fp8Layout::kTransposed ? 1 : 0);
  return at::empty(
      scaling == Fp8Scaling::kRows ? std::vector<int64_t>{rows, 1} : std::vector<int64_t>{},
      x_RC.options().dtype(at::kFloat));
}

/// scale (of one or of many rows, one after another) of x's rows, and their values.
void round_rows(const at::Tensor& x_RC, const at::Tensor& scale, const at::Tensor& values_RC) {
  const int64_t pieces = scale.numel();
  const int64_t length = pieces == 0 ? 0 : x_RC.numel() / pieces;
  if (length == 0) return;
  scale.view({pieces}).copy_(at::amax(x_RC.abs().view({pieces, length}), 1));
  float* const factor = scale.mutable_data_ptr<float>();
  for (int64_t i = 0; i < pieces; ++i) {
    factor[i] = kernels::fp8_scale(factor[i]);
    kernels::write_fp8<1>({}, x_RC.const_data_ptr<float>() + i * length, factor[i],
                          values_RC.mutable_data_ptr<c10::Float8_e4m3fn>() + i * length, length);
  }
}

}  // namespace

Fp8Tensor to_fp8(const at::Tensor& x_RC, Fp8Layout layout, Fp8Scaling scaling) {
  const bool transpose = layout == Fp8Layout::kTransposed;
  const at::Tensor scale = empty_scale(x_RC, layout, scaling);
  if (x_RC.is_cuda()) {
    const at::Tensor values = to_fp8_cuda(x_RC.contiguous(), transpose, scale);
    return {values, scale};
  }
  const at::Tensor x = (transpose ? x_RC.t() : x_RC).to(at::kFloat).contiguous();
  const at::Tensor values = at::empty(x.sizes(), at::TensorOptions(at::kFloat8_e4m3fn));
  round_rows(x, scale, values);
  return {values, scale};
}

at::Tensor linear_forward(const at::Tensor& x_NI, const at::Tensor& weight_OI, Products products) {
  if (products == Products::kCompute || !takes_fp8(x_NI.size(1), weight_OI.size(0))) {
    return linear_forward(x_NI, weight_OI);
  }
  const Fp8Scaling scaling = scaling_of(products);
  return product(to_fp8(x_NI, Fp8Layout::kAsItIs, scaling),
                 to_fp8(weight_OI, Fp8Layout::kAsItIs, scaling), x_NI.scalar_type(),
                 Accumulation::kFast);
}

at::Tensor linear_backward_input(const at::Tensor& dy_NO, const at::Tensor& weight_OI,
                                 Products products) {
  if (products == Products::kCompute || !takes_fp8(dy_NO.size(1), weight_OI.size(1))) {
    return linear_backward_input(dy_NO, weight_OI);
  }
  const Fp8Scaling scaling = scaling_of(products);
  return product(to_fp8(dy_NO, Fp8Layout::kAsItIs, scaling),
                 to_fp8(weight_OI, Fp8Layout::kTransposed, scaling), dy_NO.scalar_type(),
                 Accumulation::kExact);
}

void linear_backward_weight(const at::Tensor& dweight_OI, const at::Tensor& dy_NO,
                            const at::Tensor& x_NI, Products products) {
  if (products == Products::kCompute || !takes_fp8(dy_NO.size(0), x_NI.size(1))) {
    return linear_backward_weight(dweight_OI, dy_NO, x_NI);
  }
  const Fp8Scaling scaling = scaling_of(products);
  add_product(dweight_OI, to_fp8(dy_NO, Fp8Layout::kTransposed, scaling),
              to_fp8(x_NI, Fp8Layout::kTransposed, scaling));
}

}  // namespace phalanx
