// Stands in for the row kernels of CUDA in a build without it.
#include <c10/util/Exception.h>

#include "model/kernels/row_kernels_cuda.h"

namespace phalanx {

RmsNormOutput rms_norm_cuda(const at::Tensor&, const at::Tensor&, double) {
  TORCH_INTERNAL_ASSERT(false, "this build has no CUDA parts");
}
AddRmsNormOutput add_rms_norm_cuda(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                   double) {
  TORCH_INTERNAL_ASSERT(false, "this build has no CUDA parts");
}
RmsNormGradients rms_norm_backward_cuda(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                        const at::Tensor&, const at::Tensor&) {
  TORCH_INTERNAL_ASSERT(false, "this build has no CUDA parts");
}
void rope_cuda_(const at::Tensor&, int64_t, const RopeTable&, const at::Tensor&, float) {
  TORCH_INTERNAL_ASSERT(false, "this build has no CUDA parts");
}
at::Tensor swiglu_cuda(const at::Tensor&) {
  TORCH_INTERNAL_ASSERT(false, "this build has no CUDA parts");
}
at::Tensor swiglu_backward_cuda(const at::Tensor&, const at::Tensor&) {
  TORCH_INTERNAL_ASSERT(false, "this build has no CUDA parts");
}

}  // namespace phalanx
