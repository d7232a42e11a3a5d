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
  prepare_cuda(/*same_bits=*/false);
  EXPECT_EQ(std::string(std::getenv("CUBLAS_WORKSPACE_CONFIG")), ":16:8");
  EXPECT_FALSE(at::globalContext().deterministicAlgorithms());
  EXPECT_FALSE(segments_grow());

  unsetenv("CUBLAS_WORKSPACE_CONFIG");
  unsetenv("PYTORCH_ALLOC_CONF");
  prepare_cuda(/*same_bits=*/true);
  EXPECT_EQ(std::string(std::getenv("CUBLAS_WORKSPACE_CONFIG")), ":4096:8");
  EXPECT_TRUE(segments_grow());
  EXPECT_TRUE(at::globalContext().deterministicAlgorithms());
  EXPECT_FALSE(at::globalContext().deterministicFillUninitializedMemory());
}

/// The variable that is refused; empty: none.
std::string refused() {
  try {
    fix_library_sums();
    return "";
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
}

TEST(CudaSettings, SumsOfLibrariesKeepTheirOrderOrTheRunIsRefused) {
  unsetenv("NCCL_ALGO");
  unsetenv("CUBLAS_WORKSPACE_CONFIG");
  EXPECT_EQ(refused(), "");
  EXPECT_EQ(std::string(std::getenv("NCCL_ALGO")), "Ring");
  EXPECT_EQ(std::string(std::getenv("CUBLAS_WORKSPACE_CONFIG")), ":4096:8");
  setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8", 1);
  EXPECT_EQ(refused(), "");
  setenv("NCCL_ALGO", "Tree", 1);
  EXPECT_EQ(refused(),
            "NCCL_ALGO: expected Ring or nothing with reproducible, whose sums must keep their "
            "order; found Tree");
  unsetenv("NCCL_ALGO");
  setenv("CUBLAS_WORKSPACE_CONFIG", ":0:0", 1);
  EXPECT_NE(refused().find("CUBLAS_WORKSPACE_CONFIG: expected :4096:8 or nothing"),
            std::string::npos);
  unsetenv("CUBLAS_WORKSPACE_CONFIG");
}

}  // namespace
}  // namespace phalanx
