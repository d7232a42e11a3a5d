// Every run configuration that comes with the project reads without an error.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/configs/example_config.h"

namespace phalanx {
namespace {

TEST(ShippedConfigs, AllRead) {
  int num_read = 0;
  for (const auto& entry : std::filesystem::directory_iterator(PHALANX_SOURCE_DIR "/configs")) {
    if (entry.path().extension() != ".yaml" || entry.path().stem() == "gpus") continue;
    ConfigRequest request = testing::request();
    request.file = entry.path().string();
    EXPECT_NO_THROW(read_run_config(request)) << request.file;
    ++num_read;
  }
  EXPECT_GE(num_read, 1);
}

TEST(ShippedConfigs, TheProxyRunsOnItsMeshes) {
  ConfigRequest request = testing::request();
  request.file = PHALANX_SOURCE_DIR "/configs/phi4-proxy-1b.yaml";
  for (const int64_t ranks : {2, 16, 64, 96}) {
    request.num_ranks = ranks;
    EXPECT_NO_THROW(read_run_config(request)) << ranks;
  }
}

TEST(ShippedConfigs, TheQuickstartRunsOnOneTwoAndFourRanks) {
  ConfigRequest request = testing::request();
  request.file = PHALANX_SOURCE_DIR "/configs/quickstart.yaml";
  for (const int64_t ranks : {1, 2, 4}) {
    request.num_ranks = ranks;
    EXPECT_NO_THROW(read_run_config(request)) << ranks;
  }
  request.overrides = {"parallel.tensor_parallel_size=2"};
  EXPECT_NO_THROW(read_run_config(request));
}

}  // namespace
}  // namespace phalanx
