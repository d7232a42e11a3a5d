#include "parallel/gpu_facts.h"

#include <cuda_runtime.h>
#include <fmt/format.h>
#include <nccl.h>

#include <stdexcept>

namespace phalanx {
namespace {

void check(bool succeeded, const char* call) {
  if (!succeeded) throw std::runtime_error(fmt::format("{} failed", call));
}

/// 13020 is 13.2.
std::string cuda_version(int version) {
  return version == 0 ? "" : fmt::format("{}.{}", version / 1000, version / 10 % 100);
}

}  // namespace

std::string gpu_bus_id(int device_index) {
  char text[32] = "";
  check(cudaDeviceGetPCIBusId(text, sizeof text, device_index) == cudaSuccess,
        "cudaDeviceGetPCIBusId");
  return text;
}

CudaVersions cuda_versions() {
  int driver = 0, runtime = 0, nccl = 0;
  check(cudaDriverGetVersion(&driver) == cudaSuccess, "cudaDriverGetVersion");
  check(cudaRuntimeGetVersion(&runtime) == cudaSuccess, "cudaRuntimeGetVersion");
  check(ncclGetVersion(&nccl) == ncclSuccess, "ncclGetVersion");
  return {cuda_version(driver), cuda_version(runtime),
          fmt::format("{}.{}.{}", nccl / 10000, nccl / 100 % 100, nccl % 100)};
}

}  // namespace phalanx
