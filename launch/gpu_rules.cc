#include "launch/gpu_rules.h"

#include <fmt/format.h>

#include <stdexcept>
#include <string_view>
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
  if (precision == Precision::kFp32) return;
  struct Need {
    std::string_view name, first;
    int major, minor;
  };
  const Need need = precision == Precision::kFp8 ? Need{"fp8", "Ada, Hopper", 8, 9}
                                                 : Need{"bf16", "Ampere", 8, 0};
  if (std::tie(gpu.major, gpu.minor) >= std::tie(need.major, need.minor)) {
    if (scaling == Fp8Scaling::kRows) check_rowwise(gpu);
    return;
  }
  throw std::invalid_argument(fmt::format(
      "precision: expected {} on this GPU, found {}: {} has compute capability {}.{}, and {} needs "
      "{}.{} ({}) or later; set another precision, or choose another GPU with CUDA_VISIBLE_DEVICES",
      gpu.major >= 8 ? "bf16 or fp32" : "fp32", need.name, gpu.name, gpu.major, gpu.minor,
      need.name, need.major, need.minor, need.first));
}

}  // namespace phalanx
