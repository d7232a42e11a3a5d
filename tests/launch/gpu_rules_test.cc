// What is said of a GPU that cannot do what a configuration asks for.
#include "launch/gpu_rules.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace phalanx {
namespace {

TEST(GpuRules, AGpuTooOldForBf16AndTheKernelsIsNamedWithWhatToDo) {
  for (const Precision precision : {Precision::kBf16, Precision::kFp32, Precision::kFp8}) {
    try {
      check_gpu({"Tesla V100-SXM2-16GB", 7, 0}, precision);
      FAIL() << "expected an error";
    } catch (const std::invalid_argument& error) {
      EXPECT_STREQ(error.what(),
                   "device: expected a GPU of compute capability 8.0 (Ampere) or later, for which "
                   "the kernels are compiled, found Tesla V100-SXM2-16GB with 7.0; choose another "
                   "GPU with CUDA_VISIBLE_DEVICES, or train with device: cpu");
    }
  }
  EXPECT_THROW(check_gpu({"Quadro RTX 6000", 7, 5}, Precision::kBf16), std::invalid_argument);
}

TEST(GpuRules, Fp8NeedsMoreThanBf16Does) {
  const GpuModel a100{"NVIDIA A100-SXM4-40GB", 8, 0};
  try {
    check_gpu(a100, Precision::kFp8);
    FAIL() << "expected an error";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(
        error.what(),
        "precision: expected bf16 or fp32 on this GPU, found fp8: NVIDIA A100-SXM4-40GB "
        "has compute capability 8.0, and fp8 needs 8.9 (Ada, Hopper) or later; set another "
        "precision, or choose another GPU with CUDA_VISIBLE_DEVICES");
  }
  EXPECT_THROW(check_gpu({"NVIDIA A10", 8, 6}, Precision::kFp8), std::invalid_argument);
  EXPECT_NO_THROW(check_gpu({"NVIDIA L4", 8, 9}, Precision::kFp8));
  EXPECT_NO_THROW(check_gpu({"NVIDIA H100 80GB HBM3", 9, 0}, Precision::kFp8));
}

TEST(GpuRules, ScalesOfRowsAreForHopper) {
  const auto check = [](const GpuModel& gpu) {
    check_gpu(gpu, Precision::kFp8, Fp8Scaling::kRows);
  };
  EXPECT_NO_THROW(check({"NVIDIA H200", 9, 0}));
  EXPECT_THROW(check({"NVIDIA L4", 8, 9}), std::invalid_argument);
  try {
    check({"NVIDIA B200", 10, 0});
    FAIL() << "expected an error";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(),
                 "fp8_scaling: expected tensorwise on this GPU, found rowwise: NVIDIA B200 has "
                 "compute capability 10.0, and cuBLAS takes scales of rows on 9.0 (Hopper) alone");
  }
}

TEST(GpuRules, NewerGpusPass) {
  EXPECT_NO_THROW(check_gpu({"NVIDIA A100-SXM4-40GB", 8, 0}, Precision::kFp32));
  EXPECT_NO_THROW(check_gpu({"NVIDIA A100-SXM4-40GB", 8, 0}, Precision::kBf16));
  EXPECT_NO_THROW(check_gpu({"NVIDIA B200", 10, 0}, Precision::kBf16));
}

}  // namespace
}  // namespace phalanx
