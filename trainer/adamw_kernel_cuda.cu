#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/BFloat16.h>

#include "trainer/adamw_kernel.h"

namespace phalanx {
namespace {

template <typename T>
__global__ void update(const float* grad, float* master, float* m, float* v, T* weight,
                       int64_t count, AdamWCoefficients c) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= count) return;
  kernels::adamw_element(c, grad[i], master[i], m[i], v[i]);
  weight[i] = static_cast<T>(master[i]);
}

template <typename T>
void launch(const AdamWRun& run, const AdamWCoefficients& c) {
  const int64_t count = run.grad.numel(), threads = 256;
  if (count == 0) return;
  update<T><<<static_cast<unsigned>((count + threads - 1) / threads), threads, 0,
              c10::cuda::getCurrentCUDAStream()>>>(
      run.grad.const_data_ptr<float>(), run.master.mutable_data_ptr<float>(),
      run.exp_avg.mutable_data_ptr<float>(), run.exp_avg_sq.mutable_data_ptr<float>(),
      run.weight.mutable_data_ptr<T>(), count, c);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace

void adamw_update_cuda(const AdamWRun& run, const AdamWCoefficients& coefficients) {
  const c10::cuda::CUDAGuard guard(run.master.device());
  run.weight.scalar_type() == at::kFloat ? launch<float>(run, coefficients)
                                         : launch<c10::BFloat16>(run, coefficients);
}

}  // namespace phalanx
