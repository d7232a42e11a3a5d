// LibTorch's `_scaled_mm` has no sum to add to, and rowwise no fp32 result; cuBLASLt has both.
#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/Exceptions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>
#include <cublasLt.h>

#include <memory>
#include <type_traits>

#include "parallel/kernels/fp8_cuda.h"

namespace phalanx {
namespace {

template <typename Handle, cublasStatus_t (*kDestroy)(Handle)>
struct Destroy {
  void operator()(Handle handle) const { kDestroy(handle); }
};
template <typename Handle, cublasStatus_t (*kDestroy)(Handle)>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, Destroy<Handle, kDestroy>>;
using Description = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using MatrixLayout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

template <typename T>
void set(cublasLtMatmulDesc_t description, cublasLtMatmulDescAttributes_t name, const T& value) {
  TORCH_CUDABLAS_CHECK(cublasLtMatmulDescSetAttribute(description, name, &value, sizeof(value)));
}

template <typename T>
void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t name,
         const T& value) {
  TORCH_CUDABLAS_CHECK(
      cublasLtMatmulPreferenceSetAttribute(preference, name, &value, sizeof(value)));
}

/// Of a matrix whose rows lie `stride` elements apart: what cuBLASLt, which counts along columns,
/// sees is its transpose.
MatrixLayout layout_of(cudaDataType_t type, const at::Tensor& matrix_RC) {
  cublasLtMatrixLayout_t layout = nullptr;
  TORCH_CUDABLAS_CHECK(cublasLtMatrixLayoutCreate(&layout, type, matrix_RC.size(1),
                                                  matrix_RC.size(0), matrix_RC.stride(0)));
  return MatrixLayout(layout);
}

/// first^T second, both seen transposed.
Description describe(const at::Tensor& first_scale, const at::Tensor& second_scale) {
  cublasLtMatmulDesc_t handle = nullptr;
  TORCH_CUDABLAS_CHECK(cublasLtMatmulDescCreate(&handle, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  Description description(handle);
  set(handle, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
  set(handle, CUBLASLT_MATMUL_DESC_TRANSB, CUBLAS_OP_N);
  set(handle, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, first_scale.const_data_ptr());
  set(handle, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, second_scale.const_data_ptr());
  if (first_scale.dim() == 2) {
    const cublasLtMatmulMatrixScale_t rows = CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
    set(handle, CUBLASLT_MATMUL_DESC_A_SCALE_MODE, rows);
    set(handle, CUBLASLT_MATMUL_DESC_B_SCALE_MODE, rows);
  }
  return description;
}

/// The fastest that needs no more than the workspace, as far as cuBLASLt can tell.
cublasLtMatmulAlgo_t choose(cublasLtMatmulDesc_t product, const MatrixLayout& first,
                            const MatrixLayout& second, const MatrixLayout& sum) {
  cublasLtMatmulPreference_t handle = nullptr;
  TORCH_CUDABLAS_CHECK(cublasLtMatmulPreferenceCreate(&handle));
  const Preference preference(handle);
  set(handle, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, at::cuda::getCUDABlasLtWorkspaceSize());
  for (const auto alignment :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    set(handle, alignment, uint32_t{16});
  }
  cublasLtMatmulHeuristicResult_t found{};
  int num_found = 0;
  TORCH_CUDABLAS_CHECK(cublasLtMatmulAlgoGetHeuristic(at::cuda::getCurrentCUDABlasLtHandle(),
                                                      product, first.get(), second.get(), sum.get(),
                                                      sum.get(), handle, 1, &found, &num_found));
  TORCH_CHECK(num_found > 0, "cuBLASLt has no fp8 product for these sizes on this GPU");
  return found.algo;
}

}  // namespace

bool takes_fp8_product(const at::Tensor& sum_MN) {
  const auto aligned = [](uintptr_t bytes) { return bytes % 16 == 0; };
  return sum_MN.scalar_type() == at::kFloat && sum_MN.stride(1) == 1 &&
         aligned(reinterpret_cast<uintptr_t>(sum_MN.const_data_ptr())) &&
         aligned(static_cast<uintptr_t>(sum_MN.stride(0)) * sizeof(float));
}

void fp8_add_product_cuda(const at::Tensor& sum_MN, const at::Tensor& a_MK,
                          const at::Tensor& a_scale, const at::Tensor& b_NK,
                          const at::Tensor& b_scale) {
  const c10::cuda::CUDAGuard guard(sum_MN.device());
  // Seen transposed the sum is [N, M] = b^T-as-seen times a-as-seen.
  const Description product = describe(b_scale, a_scale);
  const MatrixLayout first = layout_of(CUDA_R_8F_E4M3, b_NK),
                     second = layout_of(CUDA_R_8F_E4M3, a_MK), sum = layout_of(CUDA_R_32F, sum_MN);
  const cublasLtMatmulAlgo_t algorithm = choose(product.get(), first, second, sum);
  const float one = 1.0F;
  TORCH_CUDABLAS_CHECK(cublasLtMatmul(
      at::cuda::getCurrentCUDABlasLtHandle(), product.get(), &one, b_NK.const_data_ptr(),
      first.get(), a_MK.const_data_ptr(), second.get(), &one, sum_MN.const_data_ptr(), sum.get(),
      sum_MN.mutable_data_ptr(), sum.get(), &algorithm, at::cuda::getCUDABlasLtWorkspace(),
      at::cuda::getCUDABlasLtWorkspaceSize(), c10::cuda::getCurrentCUDAStream()));
}

}  // namespace phalanx
