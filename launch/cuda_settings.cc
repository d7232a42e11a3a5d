#include "launch/cuda_settings.h"

#include <ATen/Context.h>
#include <c10/core/AllocatorConfig.h>
#include <fmt/format.h>

#include <cstdlib>
#include <stdexcept>

namespace phalanx {

void prepare_cuda() {
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  at::globalContext().setAllowBF16ReductionCuBLAS(false);
  const bool chosen = std::getenv("PYTORCH_ALLOC_CONF") || std::getenv("PYTORCH_CUDA_ALLOC_CONF");
  if (!chosen) c10::CachingAllocator::setAllocatorSettings("expandable_segments:True");
}

void check_gpu_precision(Precision precision, int compute_capability) {
  constexpr int kBf16From = 80, kFp8From = 89;
  const bool fp8 = precision == Precision::kFp8;
  const int from = fp8 ? kFp8From : precision == Precision::kBf16 ? kBf16From : 0;
  if (compute_capability >= from) return;
  throw std::invalid_argument(fmt::format(
      "precision: {} needs a GPU of compute capability {}.{} or later, found {}.{}; expected {}",
      fp8 ? "fp8" : "bf16", from / 10, from % 10, compute_capability / 10, compute_capability % 10,
      compute_capability >= kBf16From ? "bf16 or fp32" : "fp32"));
}

}  // namespace phalanx
