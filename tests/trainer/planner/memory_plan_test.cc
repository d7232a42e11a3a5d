// The planned memory is what tensors hold: steps of a model are trained under an allocator that
// counts, and the most it held is compared with the sum of the categories. What the whole process
// takes is compared by the end-to-end test planned_memory.
#include "trainer/planner/memory_plan.h"

#include <gtest/gtest.h>

#include "tests/support/counting_allocator.h"
#include "tests/support/ranks.h"
#include "tests/support/test_model.h"
#include "trainer/checkpoint/share_snapshot.h"

namespace phalanx {
namespace {

constexpr double kTolerance = 0.05;

struct MemoryCase {
  const char* name;
  int64_t hidden, layers, vocabulary, rows, length;
  Precision precision;
  Recompute recompute;
  MeshSize mesh;
  int64_t chunk;
};

void PrintTo(const MemoryCase& c, std::ostream* out) { *out << c.name; }

Phi4Config shape_of(const MemoryCase& c) {
  Phi4Config shape;
  shape.vocab_size = c.vocabulary;
  shape.hidden_size = c.hidden;
  shape.intermediate_size = 7 * c.hidden / 2;
  shape.num_hidden_layers = c.layers;
  shape.head_dim = 64;
  shape.num_attention_heads = c.hidden / 64;
  shape.num_key_value_heads = shape.num_attention_heads / 4;
  return shape;
}

RunConfig config_of(const MemoryCase& c) {
  RunConfig config = test_run_config(shape_of(c), c.mesh.tensor_parallel, true, c.precision);
  config.recompute = c.recompute;
  config.loss_chunk_tokens = c.chunk;
  StageConfig stage;
  stage.sequence_length = c.length;
  stage.micro_batch_size = c.rows;
  stage.global_batch_size = 2 * c.rows * c.mesh.data_parallel;
  stage.phases.resize(1);
  stage.phases[0].tokens = stage.global_batch_size * c.length;
  config.stages = {stage};
  return config;
}

/// Two steps of two micro-batches on every rank, and a copy of the state after each, to be saved.
void train(const MemoryCase& c) {
  const RunConfig config = config_of(c);
  run_ranks(static_cast<int>(c.mesh.num_ranks()), [&](Communicator& world) {
    const TestMesh mesh(world, static_cast<int>(c.mesh.tensor_parallel));
    Replica replica(config, mesh.context, {});
    ShareSnapshot snapshot(replica.optimizer().shares());
    const RopeTable rope(10000, config.model.shape.head_dim, c.length, at::kCPU);
    const TokenBatch batch = test_tokens(c.rows, c.length, c.vocabulary, 1, rope);
    for (int64_t step = 1; step <= 2; ++step) {
      replica.grads().begin_step(2);
      for (int micro = 0; micro < 2; ++micro) (void)replica.model().loss(batch, &replica.grads());
      replica.optimizer().update(replica.grads().finish(), 1e-4, 1e-4, step);
      replica.optimizer().gather_weights();
      snapshot.take(replica.optimizer().shares());
    }
  });
}

class PlannedMemory : public ::testing::TestWithParam<MemoryCase> {};

TEST_P(PlannedMemory, IsWhatTensorsHoldAtMost) {
  const MemoryCase& c = GetParam();
  double measured = 0;
  {
    Counting counting;
    train(c);
    measured = double(counting.allocator().peak()) / double(c.mesh.num_ranks());
  }
  Accelerator cpu;
  cpu.device = DeviceKind::kCpu;
  const MemoryPlan plan = plan_memory(plan_input(config_of(c), c.mesh.num_ranks()), cpu);
  std::printf("%-18s planned %7.2f MiB, held %7.2f MiB, %+.1f %%\n", c.name,
              double(plan.tensors()) / (1 << 20), measured / (1 << 20),
              100 * (double(plan.tensors()) / measured - 1));
  EXPECT_NEAR(double(plan.tensors()) / measured, 1, kTolerance);
}

INSTANTIATE_TEST_SUITE_P(
    Configurations, PlannedMemory,
    ::testing::Values(
        MemoryCase{"fp32", 256, 4, 4096, 4, 128, Precision::kFp32, Recompute::kNone, {1, 1}, 128},
        MemoryCase{"bf16", 256, 4, 4096, 4, 128, Precision::kBf16, Recompute::kNone, {1, 1}, 128},
        MemoryCase{"selective",
                   256,
                   4,
                   2048,
                   8,
                   128,
                   Precision::kFp32,
                   Recompute::kSelective,
                   {1, 1},
                   128},
        MemoryCase{"full", 256, 4, 2048, 8, 128, Precision::kBf16, Recompute::kFull, {1, 1}, 128},
        MemoryCase{
            "logits", 256, 2, 16384, 4, 128, Precision::kFp32, Recompute::kNone, {1, 1}, 512},
        MemoryCase{"tensor_parallel",
                   256,
                   4,
                   4096,
                   4,
                   128,
                   Precision::kFp32,
                   Recompute::kNone,
                   {4, 1},
                   128},
        MemoryCase{
            "data_parallel", 256, 4, 4096, 4, 128, Precision::kFp32, Recompute::kNone, {1, 2}, 128},
        MemoryCase{
            "mesh", 512, 2, 2048, 4, 128, Precision::kBf16, Recompute::kSelective, {2, 2}, 128}),
    [](const auto& parameter) { return std::string(parameter.param.name); });

/// FlashAttention-2 adds gradients of queries in fp32, and in an order that it keeps once for each
/// part of the keys: 17 parts of 8 heads on 132 multiprocessors.
TEST(MemoryPlan, FlashAttentionTakesRoomOnGpus) {
  PlanInput input;
  input.shape.hidden_size = 512;
  input.shape.intermediate_size = 64;  // the backward pass of attention takes most
  input.shape.num_attention_heads = 8;
  input.shape.num_key_value_heads = 2;
  input.shape.head_dim = 60;  // no head of the kernel's
  input.spans = {{"s", 1024, 1, 1, 0}};
  const Accelerator gpu;
  const int64_t plain = plan_memory(input, gpu).workspace;
  input.shape.head_dim = 64;
  const int64_t flash = plan_memory(input, gpu).workspace;
  const int64_t wide_dq = 1024 * 8 * 64 * 4;
  EXPECT_GT(flash - plain, wide_dq + 2 * 1024 * 8 * 64 * 2);
  input.reproducible = Reproducible::kSameMesh;
  EXPECT_EQ(plan_memory(input, gpu).workspace - flash, 16 * wide_dq);
  Accelerator cpu;
  cpu.device = DeviceKind::kCpu;
  EXPECT_LT(plan_memory(input, cpu).workspace, flash);
}

TEST(MemoryPlan, OffloadMovesMastersAndMomentsToTheHost) {
  PlanInput input;
  input.mesh = {1, 2};
  input.spans = {{"s", 4096, 2, 1, 0}};
  const Accelerator gpu;
  const MemoryPlan here = plan_memory(input, gpu);
  input.state = {2, 2, 2, 2, true};
  const MemoryPlan there = plan_memory(input, gpu);
  const int64_t product = (int64_t{1} << 24) / 5120 * 5120 * 4;  // whole rows, in fp32
  EXPECT_EQ(there.optimizer, 2 * (int64_t{1} << 24) * 6) << "two sets of pieces";
  EXPECT_EQ(there.host, here.optimizer / 2);
  EXPECT_EQ(there.gradients, here.gradients / 2 + product);
  EXPECT_EQ(
      here.tensors() - there.tensors(),
      here.optimizer - there.optimizer + here.gradients / 2 - product + here.communication / 2);
}

TEST(MemoryPlan, ATreeOfMicroBatchesHoldsTheSumsThatWait) {
  PlanInput input;
  input.shape = {1024, 64, 128, 2, 8, 4, 8};
  input.mesh = {1, 2};
  input.spans = {{"s", 32, 32, 1, 0}};
  const Accelerator gpu;
  const MemoryPlan off = plan_memory(input, gpu);
  input.reproducible = Reproducible::kSameMesh;
  const MemoryPlan ordered = plan_memory(input, gpu);
  const StoredParameters stored = stored_parameters(input.shape, input.mesh);
  EXPECT_EQ(ordered.communication - off.communication, stored.largest_bucket * 4);
  EXPECT_EQ(ordered.gradients, off.gradients);
  input.reproducible = Reproducible::kDpInvariant;
  EXPECT_EQ(plan_memory(input, gpu).gradients, off.gradients * (1 + 4)) << "16 leaves of a replica";
  input.leaf_group_size = 4;
  EXPECT_EQ(plan_memory(input, gpu).gradients, off.gradients * (1 + 3)) << "4 groups, and one";
}

TEST(MemoryPlan, Bf16GradientsHoldTheLargestProductOfASmallModelInFp32) {
  PlanInput input;
  input.shape = {1024, 64, 128, 2, 8, 4, 8};
  input.spans = {{"s", 32, 2, 1, 0}};
  const Accelerator gpu;
  const int64_t in_fp32 = plan_memory(input, gpu).gradients;
  input.state.gradient = 2;
  EXPECT_EQ(plan_memory(input, gpu).gradients, in_fp32 / 2 + 1024 * 64 * 4) << "the head's";
}

TEST(MemoryPlan, TheSpanThatNeedsMostCounts) {
  PlanInput input;
  input.spans = {{"short", 1024, 1, 1, 0}, {"long", 8192, 1, 1, 0}, {"short", 2048, 1, 1, 0}};
  const Accelerator gpu;
  EXPECT_EQ(plan_memory(input, gpu).total(), plan_memory(input, input.spans[1], gpu).total());
}

}  // namespace
}  // namespace phalanx
