// Stands in for stochastic_add_cuda.cu in a build without CUDA.
#include <stdexcept>

#include "parallel/kernels/stochastic_add.h"

namespace phalanx {

void stochastic_add_cuda(const StochasticAdd&) {
  throw std::invalid_argument(
      "parallel.device: expected cpu, got cuda; this build has no CUDA parts");
}

}  // namespace phalanx
