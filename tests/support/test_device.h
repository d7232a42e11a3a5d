#pragma once
// The device of a test that is built twice: as it is for the CPU, and with PHALANX_TEST_DEVICE for
// a GPU, whose kernels are others (label gpu). Local.
#include <ATen/Context.h>
#include <c10/core/Device.h>
#include <gtest/gtest.h>

#include <cstdlib>

#ifndef PHALANX_TEST_DEVICE
#define PHALANX_TEST_DEVICE "cpu"
#endif

namespace phalanx {

inline at::Device test_device() { return at::Device(PHALANX_TEST_DEVICE); }

/// Tests that are skipped, and say so, without their device.
class OnTestDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    if (test_device().is_cpu()) return;
    if (!at::hasCUDA()) GTEST_SKIP() << "no GPU on this machine";
    // As training does it: no atomics in gradients, and cuBLAS told so.
    setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
    at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  }
};

}  // namespace phalanx
