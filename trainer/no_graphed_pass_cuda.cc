// Stands in for graphed_pass_cuda.cc in a build without CUDA.
#include <stdexcept>

#include "trainer/graphed_pass.h"

namespace phalanx {

struct GraphedPass::Capture {};

GraphedPass::GraphedPass(const Phi4& model, GradBuckets& grads) : model_(model), grads_(grads) {
  throw std::invalid_argument(
      "parallel.cuda_graphs: expected false, got true; this build has no CUDA parts");
}

GraphedPass::~GraphedPass() = default;

at::Tensor GraphedPass::loss(const TokenBatch& batch) { return model_.loss(batch, &grads_); }

}  // namespace phalanx
