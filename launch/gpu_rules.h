#pragma once
// What a GPU must be able to do for a configuration. Pure, local: tested without one.
// Errors: std::invalid_argument "FIELD: expected ..., found ...".
#include "parallel/nccl_communicator.h"
#include "trainer/run_config.h"

namespace phalanx {

/// bf16 needs compute capability 8.0, fp8 8.9, and with rowwise scales 9.0, no other. The message
/// names no GPU's number, so that ranks agree on it.
void check_gpu(const GpuModel& gpu, Precision precision, Fp8Scaling scaling = Fp8Scaling::kTensor);

}  // namespace phalanx
