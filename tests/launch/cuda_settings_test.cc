#include "launch/cuda_settings.h"

#include <ATen/Context.h>
#include <c10/core/AllocatorConfig.h>
#include <gtest/gtest.h>

#include <cstdlib>
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

}  // namespace
}  // namespace phalanx
