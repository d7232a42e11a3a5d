#include "launch/cuda_settings.h"

#include <ATen/Context.h>
#include <c10/core/AllocatorConfig.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace phalanx {
namespace {

bool segments_grow() {
  return c10::CachingAllocator::AcceleratorAllocatorConfig::use_expandable_segments();
}

TEST(CudaSettings, AreMadeUnlessTheEnvironmentHasOthers) {
  setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8", 1);
  setenv("PYTORCH_ALLOC_CONF", "max_split_size_mb:512", 1);
  prepare_cuda();
  EXPECT_EQ(std::string(std::getenv("CUBLAS_WORKSPACE_CONFIG")), ":16:8");
  EXPECT_FALSE(segments_grow());

  unsetenv("CUBLAS_WORKSPACE_CONFIG");
  unsetenv("PYTORCH_ALLOC_CONF");
  prepare_cuda();
  EXPECT_EQ(std::string(std::getenv("CUBLAS_WORKSPACE_CONFIG")), ":4096:8");
  EXPECT_TRUE(segments_grow());
  EXPECT_TRUE(at::globalContext().deterministicAlgorithms());
  EXPECT_FALSE(at::globalContext().deterministicFillUninitializedMemory());
}

std::string refusal(Precision precision, int compute_capability) {
  try {
    check_gpu_precision(precision, compute_capability);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(CudaSettings, AGpuTooOldForThePrecisionIsRefused) {
  for (const int capability : {80, 86, 89, 90, 100}) {
    EXPECT_EQ(refusal(Precision::kBf16, capability), "") << capability;
  }
  EXPECT_EQ(refusal(Precision::kFp32, 70), "");
  EXPECT_EQ(refusal(Precision::kFp8, 89), "");
  EXPECT_EQ(refusal(Precision::kBf16, 75),
            "precision: bf16 needs a GPU of compute capability 8.0 or later, found 7.5; expected "
            "fp32");
  EXPECT_EQ(refusal(Precision::kFp8, 86),
            "precision: fp8 needs a GPU of compute capability 8.9 or later, found 8.6; expected "
            "bf16 or fp32");
}

}  // namespace
}  // namespace phalanx
