#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <exception>
#include <memory>
#include <utility>

#include "trainer/graphed_pass.h"

namespace phalanx {
namespace {

/// A capture on the current stream that ends however the pass ends: what follows on a stream left
/// in capture would fail in its place.
class CaptureScope {
 public:
  explicit CaptureScope(at::cuda::CUDAGraph& graph) : graph_(graph) { graph_.capture_begin(); }
  CaptureScope(const CaptureScope&) = delete;
  CaptureScope& operator=(const CaptureScope&) = delete;
  ~CaptureScope() {
    if (ended_) return;
    try {
      graph_.capture_end();
    } catch (const std::exception&) {  // follows from the error that is under way, which is told
    }
  }
  void end() {
    ended_ = true;
    graph_.capture_end();
  }

 private:
  at::cuda::CUDAGraph& graph_;
  bool ended_ = false;
};

}  // namespace

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
  // Put back once the pass is under way: after one that threw, the next begins anew.
  std::unique_ptr<Capture> held = std::move(capture_);
  if (!held || !held->fits(batch)) held = std::make_unique<Capture>(batch);
  Capture& capture = *held;
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
      case 1: {
        // The first pass's activations go; the captured ones have memory of their own.
        capture.loss_N.reset();
        c10::cuda::CUDACachingAllocator::emptyCache();
        CaptureScope scope(capture.graph);
        capture.loss_N = model_.loss(capture.inputs, &grads_);
        scope.end();
        capture.graph.replay();
        break;
      }
      default:
        grads_.count_pass();
        capture.graph.replay();
    }
    done.record(capture.stream);
  }
  done.block(caller);
  capture_ = std::move(held);
  return capture_->loss_N;
}

}  // namespace phalanx
