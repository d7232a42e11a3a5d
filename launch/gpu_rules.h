#pragma once
// What a GPU must be able to do for a configuration. Pure, local: tested without one.
// Errors: std::invalid_argument "FIELD: expected ..., found ...".
#include "parallel/nccl_communicator.h"
#include "trainer/run_config.h"

namespace phalanx {

/// Compute capability 8.0, the first one that has bf16 and that kernels are compiled for (8.0, 9.0,
/// and code for 8.0 that a driver translates for later ones: launch/cmake/dependencies.cmake). fp8
/// needs 8.9, and with rowwise scales 9.0, no other. The message
/// names no GPU's number, so that ranks agree on it.
void check_gpu(const GpuModel& gpu, Precision precision, Fp8Scaling scaling = Fp8Scaling::kTensor);

}  // namespace phalanx
