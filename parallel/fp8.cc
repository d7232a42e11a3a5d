#include "parallel/fp8.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_scaled_mm.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>

#include <limits>

namespace phalanx {
namespace {

constexpr double kLargest = 448.0;  // of e4m3
constexpr int64_t kUnit = 16;       // elements that cuBLASLt wants rows to be multiples of

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

/// The same numbers with rows and columns exchanged, contiguous.
Fp8Tensor transposed(const Fp8Tensor& x) { return {x.values.t().contiguous(), x.scale}; }

bool takes_fp8(const at::Tensor& a, const at::Tensor& b, int64_t depth, int64_t columns) {
  if (depth % kUnit == 0 && columns % kUnit == 0 && depth > 0) return true;
  TORCH_WARN_ONCE("precision: fp8: a product of ", a.sizes(), " and ", b.sizes(),
                  " is computed without it: expected multiples of ", kUnit);
  return false;
}

}  // namespace

Fp8Tensor to_fp8(const at::Tensor& x) {
  const at::Tensor largest =
      at::linalg_vector_norm(x, std::numeric_limits<double>::infinity(), {}, false, at::kFloat);
  const at::Tensor scale = at::where(largest > 0, largest / kLargest, at::ones_like(largest));
  const at::Tensor scaled = (x.to(at::kFloat) / scale).clamp_(-kLargest, kLargest);
  return {scaled.to(at::kFloat8_e4m3fn), scale};
}

at::Tensor linear_forward(const at::Tensor& x_NI, const at::Tensor& weight_OI, Products products) {
  if (products == Products::kCompute ||
      !takes_fp8(x_NI, weight_OI, x_NI.size(1), weight_OI.size(0))) {
    return linear_forward(x_NI, weight_OI);
  }
  return product(to_fp8(x_NI), to_fp8(weight_OI), x_NI.scalar_type(), Accumulation::kFast);
}

at::Tensor linear_backward_input(const at::Tensor& dy_NO, const at::Tensor& weight_OI,
                                 Products products) {
  if (products == Products::kCompute ||
      !takes_fp8(dy_NO, weight_OI, dy_NO.size(1), weight_OI.size(1))) {
    return linear_backward_input(dy_NO, weight_OI);
  }
  return product(to_fp8(dy_NO), transposed(to_fp8(weight_OI)), dy_NO.scalar_type(),
                 Accumulation::kExact);
}

void linear_backward_weight(const at::Tensor& dweight_OI, const at::Tensor& dy_NO,
                            const at::Tensor& x_NI, Products products) {
  if (products == Products::kCompute || !takes_fp8(dy_NO, x_NI, dy_NO.size(0), x_NI.size(1))) {
    return linear_backward_weight(dweight_OI, dy_NO, x_NI);
  }
  dweight_OI.add_(product(transposed(to_fp8(dy_NO)), transposed(to_fp8(x_NI)), at::kFloat,
                          Accumulation::kExact));
}

}  // namespace phalanx
