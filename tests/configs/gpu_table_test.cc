// The table of processors: what comes with the project, what users add, what is refused.
#include "configs/gpu_table.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace phalanx {
namespace {

const char* const kTable = PHALANX_SOURCE_DIR "/configs/gpus.yaml";

/// A kind as a user writes it.
const char* const kMine = R"(gpus:
  mine:
    source: measured here
    device: cuda
    bf16_tflops: 100
    fp32_tflops: 20
    memory: 24GiB
    runtime_memory: 1GiB
    memory_gb_s: 800
    ranks_per_node: 4
    link_gb_s: 20
    network_gb_s: 10
    link_latency_us: 5
    network_latency_us: 20
    network_step_ms: 50
    host_gb_s: 20
    storage_gb_s: 2
    attention_share: 0.4
    gemm: [{size: 1024, share: 0.4}, {size: 4096, share: 0.7}]
)";

class GpuTableFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "phalanx-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// kMine with `from` replaced, as a file.
  std::string file(const std::string& from = "", const std::string& to = "") {
    std::string text = kMine;
    if (!from.empty()) text.replace(text.find(from), from.size(), to);
    std::ofstream(folder_ + "/mine.yaml") << text;
    return folder_ + "/mine.yaml";
  }
  std::string error_of(const std::string& path) {
    try {
      (void)read_gpu_table({path});
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  }

  std::string folder_;
};

TEST(GpuTable, TheKindsOfTheProjectRead) {
  const GpuTable table = read_gpu_table({kTable});
  for (const char* name : {"h100", "h200", "a100", "b200", "cpu"}) {
    const Accelerator& kind = find_gpu(table, name);
    EXPECT_EQ(kind.name, name);
    EXPECT_EQ(kind.device, std::string(name) == "cpu" ? DeviceKind::kCpu : DeviceKind::kCuda);
    EXPECT_FALSE(kind.source.empty());
  }
  const Accelerator& h100 = find_gpu(table, "h100");
  EXPECT_DOUBLE_EQ(h100.bf16_flops, 989e12);
  EXPECT_EQ(h100.memory_bytes, int64_t{79} << 30);
  EXPECT_DOUBLE_EQ(h100.network_bandwidth, 47e9);
  EXPECT_DOUBLE_EQ(h100.network_step_seconds, 0.09);
  EXPECT_DOUBLE_EQ(h100.link_latency, 5e-6);
}

TEST_F(GpuTableFile, AUsersKindsComeOnTop) {
  const GpuTable more = read_gpu_table({kTable, file()});
  EXPECT_EQ(more.size(), 6u);
  EXPECT_DOUBLE_EQ(find_gpu(more, "mine").bf16_flops, 1e14);
  const GpuTable replaced = read_gpu_table({kTable, file("mine:", "h100:")});
  EXPECT_EQ(replaced.size(), 5u);
  EXPECT_DOUBLE_EQ(find_gpu(replaced, "h100").bf16_flops, 1e14);
}

TEST_F(GpuTableFile, WhatIsWrongIsNamedWithItsPlace) {
  const std::string path = folder_ + "/mine.yaml";
  EXPECT_EQ(error_of(file("bf16_tflops: 100", "bf16_tflop: 100")),
            path + ":3:5: gpus.mine.bf16_tflops: missing; expected a number > 0\n" + path +
                ":5:5: gpus.mine.bf16_tflop: unknown key; did you mean 'bf16_tflops'?");
  EXPECT_EQ(error_of(file("24GiB", "24")),
            path + ":7:13: gpus.mine.memory: expected a size in bytes (80GiB), got '24'");
  EXPECT_EQ(error_of(file("share: 0.7", "share: 7")),
            path + ":19:58: gpus.mine.gemm[1].share: expected a number > 0 and at most 1, got '7'");
  EXPECT_EQ(error_of(file("size: 4096", "size: 512")),
            path + ":19:45: gpus.mine.gemm[1].size: expected more than the 1024 before, got 512");
}

TEST(GpuTable, AnUnknownKindIsNamedWithTheNearest) {
  try {
    (void)find_gpu(read_gpu_table({kTable}), "h10");
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(),
                 "--gpu: expected one of a100, b200, cpu, h100, h200, got 'h10'; did you mean "
                 "'h100'?");
  }
}

TEST_F(GpuTableFile, AGpuIsFoundByWhatItsMakerCallsIt) {
  const GpuTable table = read_gpu_table({kTable});
  EXPECT_EQ(find_gpu_called(table, "NVIDIA H100 80GB HBM3"), &table.at("h100"));
  EXPECT_EQ(find_gpu_called(table, "NVIDIA A100-SXM4-80GB"), &table.at("a100"));
  EXPECT_EQ(find_gpu_called(table, "NVIDIA H200"), &table.at("h200"));
  for (const char* other :
       {"NVIDIA H100 PCIe", "NVIDIA H100 NVL", "NVIDIA GH200 480GB", "Tesla T4", "", "cpu"}) {
    EXPECT_EQ(find_gpu_called(table, other), nullptr) << other;
  }
}

}  // namespace
}  // namespace phalanx
