#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "trainer/adamw_kernel.h"
#include "trainer/adamw_types.h"

namespace phalanx {
namespace {

constexpr int64_t kThreads = 256;

template <typename Pointers>
__global__ void update(Pointers run, int64_t count, LogicalPlaces places, uint64_t key,
                       AdamWCoefficients c) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= count) return;
  uint64_t random = 0;
  if constexpr (Pointers::kRounds) {
    random = kernels::keyed_bits(key, static_cast<uint64_t>(kernels::logical_element(places, i)));
  }
  kernels::adamw_at(run, c, i, random);
}

}  // namespace

void adamw_update_cuda(const AdamWRun& run, const AdamWCoefficients& coefficients) {
  const c10::cuda::CUDAGuard guard(run.master.device());
  const int64_t count = run.grad.numel();
  if (count == 0) return;
  const auto blocks = static_cast<unsigned>((count + kThreads - 1) / kThreads);
  kernels::with_adamw_pointers(run, [&](const auto& pointers) {
    update<<<blocks, kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
        pointers, count, run.places, run.rounding_key, coefficients);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

}  // namespace phalanx
