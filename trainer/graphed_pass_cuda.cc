#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "trainer/graphed_pass.h"

namespace phalanx {

/// A pass of one shape, over tensors whose addresses stay.
struct GraphedPass::Capture {
  explicit Capture(const TokenBatch& batch)
      : stream(c10::cuda::getStreamFromPool(/*isHighPriority=*/false,
                                            batch.tokens_BT.device().index())),
        inputs(batch) {
    for (at::Tensor* x : tensors()) *x = at::empty_like(*x);
  }
  std::array<at::Tensor*, 4> tensors() {
    return {&inputs.tokens_BT, &inputs.targets_BT, &inputs.loss_mask_BT, &inputs.positions_BT};
  }
  bool fits(const TokenBatch& batch) const {
    return batch.tokens_BT.sizes() == inputs.tokens_BT.sizes() && batch.rope == inputs.rope;
  }
  void take(const TokenBatch& batch) {
    inputs.tokens_BT.copy_(batch.tokens_BT);
    inputs.targets_BT.copy_(batch.targets_BT);
    inputs.loss_mask_BT.copy_(batch.loss_mask_BT);
    inputs.positions_BT.copy_(batch.positions_BT);
  }

  c10::cuda::CUDAStream stream;
  TokenBatch inputs;
  at::Tensor loss_N;
  int64_t num_passes = 0;
  at::cuda::CUDAGraph graph;
};

GraphedPass::GraphedPass(const Phi4& model, GradBuckets& grads) : model_(model), grads_(grads) {}
GraphedPass::~GraphedPass() = default;

at::Tensor GraphedPass::loss(const TokenBatch& batch) {
  TORCH_INTERNAL_ASSERT(batch.segments.empty(), "documents of a row differ from pass to pass");
  if (!capture_ || !capture_->fits(batch)) capture_ = std::make_unique<Capture>(batch);
  Capture& capture = *capture_;
  const c10::cuda::CUDAStream caller = c10::cuda::getCurrentCUDAStream();
  at::cuda::CUDAEvent ready, done;
  ready.record(caller);
  {
    const c10::cuda::CUDAStreamGuard guard(capture.stream);
    ready.block(capture.stream);
    capture.take(batch);
    switch (capture.num_passes++) {
      case 0:  // loads kernels and makes workspaces, which a capture must not
        capture.loss_N = model_.loss(capture.inputs, &grads_);
        break;
      case 1:
        // The first pass's activations go; the captured ones have memory of their own.
        capture.loss_N.reset();
        c10::cuda::CUDACachingAllocator::emptyCache();
        capture.graph.capture_begin();
        capture.loss_N = model_.loss(capture.inputs, &grads_);
        capture.graph.capture_end();
        capture.graph.replay();
        break;
      default:
        grads_.count_pass();
        capture.graph.replay();
    }
    done.record(capture.stream);
  }
  done.block(caller);
  return capture.loss_N;
}

}  // namespace phalanx
