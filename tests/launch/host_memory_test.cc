// Free memory as a host and its control groups give it, from trees of files as the kernel shows
// them.
#include "launch/host_memory.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <limits>

namespace phalanx {
namespace {

namespace fs = std::filesystem;

class HostMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "phalanx-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }

  fs::path root_;
};

TEST_F(HostMemory, WithoutGroupsItIsWhatTheKernelCallsAvailable) {
  write("proc/meminfo", "MemTotal:  2000 kB\nMemFree:  100 kB\nMemAvailable:  1000 kB\n");
  EXPECT_EQ(available_host_memory(root_), 1000 * 1024);
}

TEST_F(HostMemory, AGroupLimitsWithWhatItCanDropCountedAsFree) {
  write("proc/meminfo", "MemAvailable:  1000 kB\n");
  write("proc/self/cgroup", "0::/job/step\n");
  write("sys/fs/cgroup/job/step/memory.max", "500000\n");
  write("sys/fs/cgroup/job/step/memory.current", "300000\n");
  EXPECT_EQ(available_host_memory(root_), 200'000);
  write("sys/fs/cgroup/job/step/memory.stat", "anon 200000\nfile 100000\ninactive_file 50000\n");
  EXPECT_EQ(available_host_memory(root_), 250'000);
}

TEST_F(HostMemory, TheTightestGroupAboveCounts) {
  write("proc/meminfo", "MemAvailable:  1000 kB\n");
  write("proc/self/cgroup", "0::/job/step\n");
  write("sys/fs/cgroup/job/step/memory.max", "max\n");
  write("sys/fs/cgroup/job/step/memory.current", "1000\n");
  write("sys/fs/cgroup/job/memory.max", "70000\n");
  write("sys/fs/cgroup/job/memory.current", "30000\n");
  EXPECT_EQ(available_host_memory(root_), 40'000);
}

TEST_F(HostMemory, AContainerSeesItsGroupAtTheTop) {
  write("proc/meminfo", "MemAvailable:  1000 kB\n");
  write("proc/self/cgroup", "0::/a/path/of/the/host\n");
  write("sys/fs/cgroup/memory.max", "9000\n");
  write("sys/fs/cgroup/memory.current", "10000\n");
  EXPECT_EQ(available_host_memory(root_), 0) << "never below nothing";
}

TEST_F(HostMemory, VersionOneHasOtherNames) {
  write("proc/meminfo", "MemAvailable:  1000 kB\n");
  write("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/job\n0::/\n");
  write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "600000\n");
  write("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "500000\n");
  write("sys/fs/cgroup/memory/job/memory.stat", "total_inactive_file 20000\n");
  EXPECT_EQ(available_host_memory(root_), 120'000);
}

TEST_F(HostMemory, WhatCannotBeReadLimitsNothing) {
  EXPECT_EQ(available_host_memory(root_), std::numeric_limits<int64_t>::max());
}

TEST(HostMemoryOfThisMachine, IsSomething) {
  EXPECT_GT(available_host_memory(), 1 << 20);
  EXPECT_LT(available_host_memory(), std::numeric_limits<int64_t>::max());
}

}  // namespace
}  // namespace phalanx
