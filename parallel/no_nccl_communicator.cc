#include <stdexcept>

#include "parallel/nccl_communicator.h"

namespace phalanx {

int num_cuda_devices() { return 0; }

int64_t free_device_memory(int) { return 0; }

int compute_capability(int) { return 0; }

std::unique_ptr<Communicator> make_nccl_communicator(Communicator&, int, const std::string&) {
  throw std::invalid_argument(
      "device: expected cpu, found cuda: this build has no CUDA parts (they are built when a "
      "CUDA 13 toolkit and NCCL are found; see launch/setup.sh)");
}

}  // namespace phalanx
