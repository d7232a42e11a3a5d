#include "parallel/gemm.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/record_function.h>
#include <c10/util/Exception.h>

#include "parallel/kernels/packed_gemm.h"

namespace phalanx {
namespace {

using kernels::Gemm;
using kernels::GemmInput;
using kernels::GemmOperand;
using kernels::GemmOutput;
using kernels::PackedGemmIsa;

/// kNone: LibTorch's product is the one to take.
PackedGemmIsa packed_isa(const at::Tensor& x) {
  if (!x.is_cpu()) return PackedGemmIsa::kNone;
  const bool bf16 = x.scalar_type() == at::kBFloat16;
  if (!bf16 && x.scalar_type() != at::kFloat) return PackedGemmIsa::kNone;
  return kernels::packed_gemm_isa(bf16 ? GemmInput::kBf16 : GemmInput::kFp32);
}

/// x as it is, or a copy whose columns are contiguous.
at::Tensor with_contiguous_columns(const at::Tensor& x) {
  return x.size(1) <= 1 || x.stride(1) == 1 ? x : x.contiguous();
}

GemmOperand as_is(const at::Tensor& x) { return {x.const_data_ptr(), x.stride(0), 1}; }
GemmOperand transposed(const at::Tensor& x) { return {x.const_data_ptr(), 1, x.stride(0)}; }

struct Product {
  int64_t depth = 0;
  GemmOperand a, b;
  at::ScalarType dtype = at::kFloat;
};

void multiply(const at::Tensor& c, const Product& product, bool add, PackedGemmIsa isa) {
  const bool bf16_result = c.scalar_type() == at::kBFloat16;
  TORCH_INTERNAL_ASSERT(c.size(1) <= 1 || c.stride(1) == 1, "columns of a product are contiguous");
  Gemm gemm{c.size(0), c.size(1), product.depth, product.a, product.b};
  gemm.input = product.dtype == at::kBFloat16 ? GemmInput::kBf16 : GemmInput::kFp32;
  gemm.output = bf16_result ? GemmOutput::kBf16 : add ? GemmOutput::kAddFp32 : GemmOutput::kFp32;
  gemm.c = c.mutable_data_ptr();
  gemm.c_row_stride = c.stride(0);
  kernels::packed_gemm(gemm, isa);
}

}  // namespace

at::Tensor linear_forward(const at::Tensor& x_NI, const at::Tensor& weight_OI) {
  RECORD_USER_SCOPE("linear forward");
  const PackedGemmIsa isa = packed_isa(x_NI);
  if (isa == PackedGemmIsa::kNone) return linear_forward_plain(x_NI, weight_OI);
  const at::Tensor x = with_contiguous_columns(x_NI), w = with_contiguous_columns(weight_OI);
  at::Tensor y_NO = at::empty({x.size(0), w.size(0)}, x.options());
  multiply(y_NO, {x.size(1), as_is(x), transposed(w), x.scalar_type()}, false, isa);
  return y_NO;
}

at::Tensor linear_backward_input(const at::Tensor& dy_NO, const at::Tensor& weight_OI) {
  RECORD_USER_SCOPE("linear backward: input");
  const PackedGemmIsa isa = packed_isa(dy_NO);
  if (isa == PackedGemmIsa::kNone) return linear_backward_input_plain(dy_NO, weight_OI);
  const at::Tensor dy = with_contiguous_columns(dy_NO), w = with_contiguous_columns(weight_OI);
  at::Tensor dx_NI = at::empty({dy.size(0), w.size(1)}, dy.options());
  multiply(dx_NI, {dy.size(1), as_is(dy), as_is(w), dy.scalar_type()}, false, isa);
  return dx_NI;
}

void linear_backward_input_add(const at::Tensor& dx_NI, const at::Tensor& dy_NO,
                               const at::Tensor& weight_OI) {
  RECORD_USER_SCOPE("linear backward: input");
  const PackedGemmIsa isa = packed_isa(dy_NO);
  if (isa == PackedGemmIsa::kNone) {
    dx_NI.addmm_(dy_NO, weight_OI);
    return;
  }
  const at::Tensor dy = with_contiguous_columns(dy_NO), w = with_contiguous_columns(weight_OI);
  const bool fp32 = dx_NI.scalar_type() == at::kFloat;
  const at::Tensor sum_NI = fp32 ? dx_NI : dx_NI.to(at::kFloat);
  multiply(sum_NI, {dy.size(1), as_is(dy), as_is(w), dy.scalar_type()}, true, isa);
  if (!fp32) dx_NI.copy_(sum_NI);
}

void linear_backward_weight(const at::Tensor& dweight_OI, const at::Tensor& dy_NO,
                            const at::Tensor& x_NI) {
  RECORD_USER_SCOPE("linear backward: weight");
  if (dy_NO.is_cuda() && dy_NO.scalar_type() == at::kBFloat16) {
    // cuBLAS adds its fp32 sums to the gradient, without a product in bf16 between them.
    at::Tensor sum_OI = dweight_OI;
    at::addmm_out(sum_OI, dweight_OI, dy_NO.t(), x_NI, at::kFloat);
    return;
  }
  const PackedGemmIsa isa = packed_isa(dy_NO);
  if (isa == PackedGemmIsa::kNone) return linear_backward_weight_plain(dweight_OI, dy_NO, x_NI);
  const at::Tensor dy = with_contiguous_columns(dy_NO), x = with_contiguous_columns(x_NI);
  multiply(dweight_OI, {dy.size(0), transposed(dy), as_is(x), dy.scalar_type()}, true, isa);
}

std::string cpu_products_text(at::ScalarType dtype) {
  const bool bf16 = dtype == at::kBFloat16;
  const std::string widened =
      bf16 ? ", bf16 widened to fp32 (the processor has no AVX512-BF16)" : "";
  switch (kernels::packed_gemm_isa(bf16 ? GemmInput::kBf16 : GemmInput::kFp32)) {
    case PackedGemmIsa::kAvx512Bf16:
      return "packed AVX512-BF16 panels";
    case PackedGemmIsa::kAvx512:
      return "packed AVX-512 panels" + widened;
    case PackedGemmIsa::kAvx2:
      return "packed AVX2 panels" + widened;
    case PackedGemmIsa::kNone:
      break;
  }
  return "LibTorch (the processor has no AVX2)";
}

at::Tensor linear_forward_plain(const at::Tensor& x_NI, const at::Tensor& weight_OI) {
  return at::mm(x_NI, weight_OI.t());
}

at::Tensor linear_backward_input_plain(const at::Tensor& dy_NO, const at::Tensor& weight_OI) {
  return at::mm(dy_NO, weight_OI);
}

void linear_backward_weight_plain(const at::Tensor& dweight_OI, const at::Tensor& dy_NO,
                                  const at::Tensor& x_NI) {
  if (dy_NO.scalar_type() == at::kFloat) {
    dweight_OI.addmm_(dy_NO.t(), x_NI);
  } else {
    // Products are summed over tokens in fp32 inside the GEMM and rounded once a call.
    dweight_OI.add_(at::mm(dy_NO.t(), x_NI));
  }
}

}  // namespace phalanx
