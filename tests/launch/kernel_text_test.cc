// What a run says before its first step about the kernels that will compute it.
#include "launch/kernel_text.h"

#include <gtest/gtest.h>

namespace phalanx {
namespace {

using Lines = std::vector<std::string>;

RunConfig run_on_gpu(Precision precision) {
  RunConfig config;
  config.precision = precision;
  config.parallel.device = DeviceKind::kCuda;
  config.stages.resize(1);
  return config;
}

TEST(KernelText, OnCpuTheProductsAreNamedToo) {
  RunConfig config = run_on_gpu(Precision::kFp32);
  config.parallel.device = DeviceKind::kCpu;
  const Lines lines = kernel_lines(config);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_TRUE(lines[0].starts_with("cpu products: ")) << lines[0];
  EXPECT_TRUE(lines[1].starts_with("attention: ")) << lines[1];
}

TEST(KernelText, OneLineHoldsUntilAStageDiffers) {
  RunConfig config = run_on_gpu(Precision::kFp32);
  config.model.shape.sliding_window = 4096;
  config.stages.resize(3, config.stages.front());
  config.stages[2].name = "long";
  config.stages[2].sequence_length = 8192;
  const Lines lines = kernel_lines(config);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], "attention: LibTorch's kernel");
  EXPECT_TRUE(lines[1].starts_with("attention, from stage long on: plain operations")) << lines[1];
}

TEST(KernelText, Fp8TakesAllProductsOfPhi4) {
  for (const int64_t parts : {1, 2, 4, 8}) {  // at 4 and 8 heads of keys are shared
    RunConfig config = run_on_gpu(Precision::kFp8);
    config.parallel.tensor_parallel_size = parts;
    EXPECT_EQ(kernel_lines(config), (Lines{"attention: FlashAttention-2",
                                           "fp8 products: all of the blocks', a scale a matrix"}))
        << parts;
  }
}

TEST(KernelText, Fp8NamesTheProductsThatItDoesNotTakeOnceForAllParts) {
  RunConfig config = run_on_gpu(Precision::kFp8);
  config.model.shape.head_dim = 8;  // 160 columns of queries and 40 of keys in each part
  config.model.shape.intermediate_size = 17921;
  config.parallel.tensor_parallel_size = 2;
  config.stages[0].sequence_length = 1001;
  EXPECT_EQ(kernel_lines(config).back(),
            "fp8 products: those of the blocks, a scale a matrix; in bf16 instead, since cuBLAS "
            "takes multiples of "
            "16: gate_up (5120 to 17922), down (8961 to 5120), weight gradients over 1001 tokens");
}

TEST(KernelText, Fp8MultipliesSharedHeadsOfKeysByThemselves) {
  RunConfig config = run_on_gpu(Precision::kFp8);
  config.model.shape.head_dim = 8;  // of 10 key heads a part of 4 uses 3: 24 columns
  config.parallel.tensor_parallel_size = 4;
  EXPECT_EQ(kernel_lines(config).back(),
            "fp8 products: those of the blocks, a scale a matrix; in bf16 instead, since cuBLAS "
            "takes multiples of "
            "16: k and v (5120 to 24)");
}

}  // namespace
}  // namespace phalanx
