#include "launch/gpu_rules.h"

#include <fmt/format.h>

#include <stdexcept>
#include <tuple>

namespace phalanx {

namespace {

void check_rowwise(const GpuModel& gpu) {
  if (gpu.major == 9 && gpu.minor == 0) return;
  throw std::invalid_argument(fmt::format(
      "fp8_scaling: expected tensorwise on this GPU, found rowwise: {} has compute capability "
      "{}.{}, and cuBLAS takes scales of rows on 9.0 (Hopper) alone",
      gpu.name, gpu.major, gpu.minor));
}

}  // namespace

void check_gpu(const GpuModel& gpu, Precision precision, Fp8Scaling scaling) {
  if (gpu.major < 8) {
    throw std::invalid_argument(fmt::format(
        "device: expected a GPU of compute capability 8.0 (Ampere) or later, for which the kernels "
        "are compiled, found {} with {}.{}; choose another GPU with CUDA_VISIBLE_DEVICES, or train "
        "with device: cpu",
        gpu.name, gpu.major, gpu.minor));
  }
  if (precision != Precision::kFp8) return;
  if (std::tie(gpu.major, gpu.minor) < std::make_tuple(8, 9)) {
    throw std::invalid_argument(fmt::format(
        "precision: expected bf16 or fp32 on this GPU, found fp8: {} has compute capability {}.{}, "
        "and fp8 needs 8.9 (Ada, Hopper) or later; set another precision, or choose another GPU "
        "with CUDA_VISIBLE_DEVICES",
        gpu.name, gpu.major, gpu.minor));
  }
  if (scaling == Fp8Scaling::kRows) check_rowwise(gpu);
}

}  // namespace phalanx
