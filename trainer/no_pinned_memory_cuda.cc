// Stands in for pinned_memory_cuda.cc in a build without CUDA.
#include <stdexcept>

#include "trainer/pinned_memory.h"

namespace phalanx {

at::Tensor pinned_zeros(int64_t, at::ScalarType, const std::string&) {
  throw std::invalid_argument(
      "parallel.device: expected cpu, got cuda; this build has no CUDA parts");
}

}  // namespace phalanx
