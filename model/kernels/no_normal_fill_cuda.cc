// Stands in for normal_fill_cuda.cu in a build without CUDA.
#include <stdexcept>

#include "model/kernels/normal_fill.h"

namespace phalanx {

void normal_fill_cuda_(const at::Tensor&, const LogicalWindow&, uint64_t, float) {
  throw std::invalid_argument(
      "parallel.device: expected cpu, got cuda; this build has no CUDA parts");
}

}  // namespace phalanx
