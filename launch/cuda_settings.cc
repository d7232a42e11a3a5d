#include "launch/cuda_settings.h"

#include <ATen/Context.h>
#include <c10/core/AllocatorConfig.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <stdexcept>
#include <string>

namespace phalanx {
namespace {

/// Sets the first choice, unless the environment has one of them.
void require(const char* name, std::initializer_list<std::string> choices) {
  const char* found = std::getenv(name);
  if (found == nullptr) {
    setenv(name, choices.begin()->c_str(), /*overwrite=*/0);
  } else if (std::find(choices.begin(), choices.end(), found) == choices.end()) {
    throw std::invalid_argument(fmt::format(
        "{}: expected {} or nothing with reproducible, whose sums must keep their order; found {}",
        name, *choices.begin(), found));
  }
}

}  // namespace

void prepare_cuda(bool same_bits) {
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  at::globalContext().setDeterministicAlgorithms(same_bits, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  at::globalContext().setAllowBF16ReductionCuBLAS(false);
  const bool chosen = std::getenv("PYTORCH_ALLOC_CONF") || std::getenv("PYTORCH_CUDA_ALLOC_CONF");
  if (!chosen) c10::CachingAllocator::setAllocatorSettings("expandable_segments:True");
}

void prepare_cpu_trace() {
  setenv("KINETO_LOG_LEVEL", "5", /*overwrite=*/0);  // one above its errors
}

void fix_library_sums() {
  require("CUBLAS_WORKSPACE_CONFIG", {":4096:8", ":16:8"});
  require("NCCL_ALGO", {"Ring", "ring", "RING"});
}

}  // namespace phalanx
