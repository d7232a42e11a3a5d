// On two GPUs, the trace of one step: the first reduce-scatter over NCCL has ended before the
// backward pass has. Skipped, and counted as skipped, with fewer.
#include <ATen/cuda/CUDAEvent.h>
#include <c10/core/DeviceGuard.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <gtest/gtest.h>

#include "parallel/nccl_communicator.h"
#include "tests/support/ranks.h"
#include "tests/support/test_device.h"
#include "tests/support/test_model.h"

namespace phalanx {
namespace {

/// Notes on the GPU when the first reduce-scatter ends.
class TimedReduction final : public Communicator {
 public:
  explicit TimedReduction(Communicator& inner)
      : Communicator(inner.rank(), inner.size(), inner.name()),
        inner_(inner),
        watcher_(c10::cuda::getStreamFromPool()) {}
  std::unique_ptr<Communicator> split(int color, int key, const std::string& name) override {
    return inner_.split(color, key, name);
  }
  WorkHandle all_reduce(const at::Tensor& tensor, ReduceOp op, SumOrder order) override {
    return inner_.all_reduce(tensor, op, order);
  }
  WorkHandle reduce_scatter(const at::Tensor& output, const at::Tensor& input,
                            SumOrder order) override {
    WorkHandle work = inner_.reduce_scatter(output, input, order);
    if (num_reductions++ > 0) return work;
    // The gradients outlive the step, so that waiting for them on another stream is safe.
    const c10::cuda::CUDAStreamGuard guard(watcher_);
    work->wait();
    ended.record(watcher_);
    return std::make_unique<EndOfStep>(ended);
  }
  WorkHandle all_gather(const at::Tensor& output, const at::Tensor& input) override {
    return inner_.all_gather(output, input);
  }
  WorkHandle all_to_all(const at::Tensor& output, const at::Tensor& input) override {
    return inner_.all_to_all(output, input);
  }
  WorkHandle broadcast(const at::Tensor& tensor, int root) override {
    return inner_.broadcast(tensor, root);
  }
  void barrier() override { inner_.barrier(); }

  at::cuda::CUDAEvent ended{cudaEventDefault};
  int num_reductions = 0;

 private:
  class EndOfStep final : public Work {
   public:
    explicit EndOfStep(at::cuda::CUDAEvent& event) : event_(event) {}
    void wait() override { event_.block(c10::cuda::getCurrentCUDAStream()); }

   private:
    at::cuda::CUDAEvent& event_;
  };

  Communicator& inner_;
  c10::cuda::CUDAStream watcher_;
};

Phi4Config wide_shape() {
  Phi4Config shape;
  shape.vocab_size = 8192;
  shape.hidden_size = 2048;
  shape.intermediate_size = 8192;
  shape.num_hidden_layers = 12;
  shape.num_attention_heads = 16;
  shape.num_key_value_heads = 4;
  return shape;
}

TEST(OverlapOnGpus, TheFirstReduceScatterEndsBeforeTheBackwardPassDoes) {
  if (num_cuda_devices() < 2) GTEST_SKIP() << "fewer than two GPUs on this machine";
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  run_ranks(2, [](Communicator& control) {
    const at::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(control.rank()));
    const c10::DeviceGuard guard(device);
    const auto nccl = make_nccl_communicator(control, control.rank(), "world");
    const TestMesh mesh(control, 1, nccl.get(), device);
    TimedReduction dp(*mesh.dp);
    const RunContext context{mesh.mesh, control, *mesh.tp, dp, device};
    const RunConfig config = test_run_config(wide_shape(), 1, false, Precision::kBf16);
    Replica replica(config, context, {});
    const RopeTable rope(10000, config.model.shape.head_dim, 2048, device);
    TokenBatch batch = test_tokens(1, 2048, config.model.shape.vocab_size, 1, rope);
    for (at::Tensor* x :
         {&batch.tokens_BT, &batch.targets_BT, &batch.loss_mask_BT, &batch.positions_BT}) {
      *x = x->to(device);
    }
    at::cuda::CUDAEvent backward_ended{cudaEventDefault};
    for (int step = 0; step < 3; ++step) {  // the last one counts: all is warm
      dp.num_reductions = 0;
      replica.grads().begin_step(1);
      (void)replica.model().loss(batch, &replica.grads());
      backward_ended.record();
      (void)replica.grads().finish();
      control.barrier();
    }
    backward_ended.synchronize();
    dp.ended.synchronize();
    EXPECT_GT(dp.ended.elapsed_time(backward_ended), 0.0F);
    nccl->barrier();
    control.barrier();
  });
}

}  // namespace
}  // namespace phalanx
