// The update and the gradient sums on a GPU give the bits of the CPU, also when the state lives in
// the host's memory.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "parallel/kernels/stochastic_add.h"
#include "tests/model/random_tensor.h"
#include "tests/support/ranks.h"
#include "trainer/adamw.h"

namespace phalanx {
namespace {

class OnGpu : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "no GPU on this machine";
  }
};

using AdamWOnGpu = OnGpu;
using StochasticAddOnGpu = OnGpu;

constexpr AdamWCoefficients kCoefficients{0.5F,  0.9F,  0.95F, 0.1F, 0.05F,
                                          0.99F, 0.01F, 2.0F,  1e-8F};

AdamWRun random_run(at::ScalarType grad, at::ScalarType state, at::ScalarType weight_type,
                    bool own_master) {
  constexpr int64_t kCount = 100'003;
  const at::Tensor weight = random_tensor({kCount}, 1).to(weight_type);
  return {random_tensor({kCount}, 2).to(grad),
          own_master ? random_tensor({kCount}, 1) : weight,
          random_tensor({kCount}, 3).to(state),
          random_tensor({kCount}, 4).square().to(state),
          weight,
          LogicalPlaces{17, 300, 40, 70},
          99};
}

void expect_equal_bits(const AdamWRun& cpu) {
  const at::Tensor weight = cpu.weight.cuda();
  const AdamWRun gpu{cpu.grad.cuda(),
                     cpu.master.is_alias_of(cpu.weight) ? weight : cpu.master.cuda(),
                     cpu.exp_avg.cuda(),
                     cpu.exp_avg_sq.cuda(),
                     weight,
                     cpu.places,
                     cpu.rounding_key};
  adamw_update(cpu, kCoefficients);
  adamw_update(gpu, kCoefficients);
  for (at::Tensor AdamWRun::*t : {&AdamWRun::grad, &AdamWRun::master, &AdamWRun::exp_avg,
                                  &AdamWRun::exp_avg_sq, &AdamWRun::weight}) {
    EXPECT_TRUE(at::equal((gpu.*t).cpu(), cpu.*t));
  }
}

TEST_F(AdamWOnGpu, EveryCombinationOfTypesGivesTheBitsOfTheCpu) {
  for (const at::ScalarType grad : {at::kFloat, at::kBFloat16}) {
    for (const at::ScalarType state : {at::kFloat, at::kBFloat16}) {
      expect_equal_bits(random_run(grad, state, at::kFloat, true));
      expect_equal_bits(random_run(grad, state, at::kBFloat16, true));
      expect_equal_bits(random_run(grad, state, at::kBFloat16, false));
    }
  }
}

TEST_F(StochasticAddOnGpu, GivesTheBitsOfTheCpu) {
  const at::Tensor cpu = random_tensor({50, 301}, 1).to(at::kBFloat16), gpu = cpu.cuda();
  const at::Tensor value = random_tensor({4, 301}, 2) * 0.01;
  const at::Tensor rows = at::tensor({7, 0, -1, 49}, at::kLong);
  stochastic_add({cpu, value, rows, 11, 400, 5});
  stochastic_add({gpu, value.cuda(), rows.cuda(), 11, 400, 5});
  EXPECT_TRUE(at::equal(gpu.cpu(), cpu));
}

/// Weights and moments after three updates.
std::vector<at::Tensor> trained(at::Device device, const OptimizerConfig& config) {
  std::vector<at::Tensor> result;
  run_ranks(1, [&](Communicator& world) {
    ParameterSet set;
    set.declare("matrix", sharded({5003, 4001}, 0, {0, 5003}), "layer", true);  // several pieces
    set.declare("vector", sharded({11}, 0, {0, 11}), "layer", false);
    set.allocate(at::kBFloat16, device, 1);
    const Bucket& bucket = set.buckets()[0];
    bucket.weights.narrow(0, 0, bucket.numel).copy_(random_tensor({bucket.numel}, 1));
    AdamW optimizer(config, set, world);
    optimizer.load_masters_from_weights();
    for (int64_t n = 1; n <= 3; ++n) {
      bucket.grads.narrow(0, 0, bucket.numel)
          .copy_(random_tensor({bucket.numel}, static_cast<uint64_t>(n)));
      optimizer.update({bucket.grads}, 0.01, 1.0, n);
    }
    const BucketShare& share = optimizer.shares()[0];
    result = {bucket.weights.cpu(), share.master.cpu(), share.exp_avg.cpu(),
              share.exp_avg_sq.cpu()};
    if (config.offload == Offload::kHost && device.is_cuda()) {
      EXPECT_TRUE(share.exp_avg.is_pinned());
    }
  });
  return result;
}

TEST_F(AdamWOnGpu, StateInTheHostsMemoryGivesTheBitsOfTheCpu) {
  for (const Precision master : {Precision::kFp32, Precision::kBf16}) {
    OptimizerConfig config;
    config.master = master;
    config.state = master;
    const std::vector<at::Tensor> expected = trained(at::kCPU, config);
    config.offload = Offload::kHost;
    const std::vector<at::Tensor> found = trained(at::kCUDA, config);
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(at::equal(found[i], expected[i])) << i;
  }
}

}  // namespace
}  // namespace phalanx
