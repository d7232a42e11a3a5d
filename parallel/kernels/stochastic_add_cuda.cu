#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "parallel/kernels/stochastic_add.h"

namespace phalanx {
namespace {

constexpr int64_t kThreads = 256;

struct Layout {
  int64_t count, columns, stride, first_element, full_columns;
};

__global__ void add_elements(c10::BFloat16* target, const float* value, const int64_t* rows,
                             Layout layout, uint64_t key) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= layout.count) return;
  const int64_t v = i / layout.columns, c = i % layout.columns, r = rows ? rows[v] : v;
  if (r < 0) return;
  const int64_t element = layout.first_element + r * layout.full_columns + c;
  kernels::add_rounded(value[i], kernels::keyed_bits(key, static_cast<uint64_t>(element)),
                       target[r * layout.stride + c]);
}

}  // namespace

void stochastic_add_cuda(const StochasticAdd& add) {
  const c10::cuda::CUDAGuard guard(add.target_RC.device());
  const Layout layout{add.value_VC.numel(), add.target_RC.size(1), add.target_RC.stride(0),
                      add.first_element, add.full_columns};
  if (layout.count == 0) return;
  add_elements<<<static_cast<unsigned>((layout.count + kThreads - 1) / kThreads), kThreads, 0,
                 c10::cuda::getCurrentCUDAStream()>>>(
      add.target_RC.mutable_data_ptr<c10::BFloat16>(), add.value_VC.const_data_ptr<float>(),
      add.row_V.defined() ? add.row_V.const_data_ptr<int64_t>() : nullptr, layout, add.key);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace phalanx
