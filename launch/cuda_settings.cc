#include "launch/cuda_settings.h"

#include <ATen/Context.h>
#include <c10/core/AllocatorConfig.h>

#include <cstdlib>

namespace phalanx {

void prepare_cuda() {
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  at::globalContext().setAllowBF16ReductionCuBLAS(false);
  const bool chosen = std::getenv("PYTORCH_ALLOC_CONF") || std::getenv("PYTORCH_CUDA_ALLOC_CONF");
  if (!chosen) c10::CachingAllocator::setAllocatorSettings("expandable_segments:True");
}

void prepare_cpu_trace() {
  setenv("KINETO_LOG_LEVEL", "5", /*overwrite=*/0);  // one above its errors
}

}  // namespace phalanx
