// Stands in for adamw_kernel_cuda.cu in a build without CUDA.
#include <stdexcept>

#include "trainer/adamw_kernel.h"

namespace phalanx {

void adamw_update_cuda(const AdamWRun&, const AdamWCoefficients&) {
  throw std::invalid_argument(
      "parallel.device: expected cpu, got cuda; this build has no CUDA parts");
}

}  // namespace phalanx
