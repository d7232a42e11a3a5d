#include "launch/gpu_rules.h"

#include <fmt/format.h>

#include <stdexcept>

namespace phalanx {

void check_gpu(const GpuModel& gpu, Precision precision) {
  constexpr int kFirstWithBf16 = 8;
  if (precision != Precision::kBf16 || gpu.major >= kFirstWithBf16) return;
  throw std::invalid_argument(fmt::format(
      "precision: expected fp32 on this GPU, found bf16: {} has compute capability {}.{}, and bf16 "
      "needs {}.0 (Ampere) or later; set precision: fp32, or choose another GPU with "
      "CUDA_VISIBLE_DEVICES",
      gpu.name, gpu.major, gpu.minor, kFirstWithBf16));
}

}  // namespace phalanx
