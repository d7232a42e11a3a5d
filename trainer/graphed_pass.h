#pragma once
// The forward and backward pass of a micro-batch as a CUDA graph: captured once, then started by
// one call of the host, which otherwise takes longer to launch the kernels of a small model than
// the GPU to run them. Only where the host decides nothing inside a pass: one rank, whole rows.
// Local. Stream: runs on one of its own, after the work on the current one, which then waits for
// it. Memory: a captured pass keeps its activations, and the losses it returns are overwritten by
// the next. Ownership: refers to the model and the buckets. Two files implement this header:
// graphed_pass_cuda.cc, and in a build without CUDA no_graphed_pass_cuda.cc, whose constructor
// throws std::invalid_argument.
#include <memory>

#include "model/phi4.h"
#include "parallel/grad_buckets.h"

namespace phalanx {

class GraphedPass {
 public:
  GraphedPass(const Phi4& model, GradBuckets& grads);
  ~GraphedPass();
  GraphedPass(const GraphedPass&) = delete;
  GraphedPass& operator=(const GraphedPass&) = delete;

  /// As Phi4::loss() with gradients. The first pass of a shape runs as it is, the second is
  /// captured; other shapes and rotation tables begin anew.
  at::Tensor loss(const TokenBatch& batch);

 private:
  struct Capture;
  const Phi4& model_;
  GradBuckets& grads_;
  std::unique_ptr<Capture> capture_;
};

}  // namespace phalanx
