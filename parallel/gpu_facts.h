#pragma once
// What tells one GPU from another, and the versions of what drives it. Two files implement this
// header: gpu_facts.cc, and no_gpu_facts.cc in a build without CUDA, which knows of none. Local.
// Errors: a failed CUDA or NCCL call is std::runtime_error.
#include <string>

namespace phalanx {

/// Where the GPU sits, "0000:1b:00.0": two processes of a host that see different GPUs as their
/// number 0 are told apart by it. Empty in a build without CUDA.
std::string gpu_bus_id(int device_index);

/// "13.0": the newest CUDA that the driver serves, and the one of this build; "2.28.9" of NCCL.
/// driver is empty without one, all are in a build without CUDA.
struct CudaVersions {
  std::string driver, runtime, nccl;
};
CudaVersions cuda_versions();

}  // namespace phalanx
