// Counts and limits of the step's plan that can be worked out by hand.
#include "trainer/planner/step_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "trainer/planner/run_plan.h"

namespace phalanx {
namespace {

/// Round figures: every product at half of the peak, every byte at 1 GB/s inside a node of 4.
Accelerator plain_accelerator() {
  Accelerator a;
  a.name = "plain";
  a.bf16_flops = 1e12;
  a.fp32_flops = 1e11;
  a.memory_bytes = int64_t{8} << 30;
  a.memory_bandwidth = 1e11;
  a.ranks_per_node = 4;
  a.link_bandwidth = 1e9;
  a.network_bandwidth = 1e8;
  a.host_bandwidth = 1e9;
  a.storage_bandwidth = 1e9;
  a.attention_share = 0.5;
  a.gemm = {{1, 0.5}, {1e6, 0.5}};
  return a;
}

PlanInput small_input(MeshSize mesh) {
  PlanInput input;
  input.shape = {1024, 64, 128, 2, 8, 4, 8};
  input.mesh = mesh;
  input.spans = {{"s", 32, 16, 2, 0}};
  return input;
}

const Collective* find(const StepPlan& plan, const std::string& name) {
  const auto found = std::find_if(plan.collectives.begin(), plan.collectives.end(),
                                  [&](const Collective& c) { return c.name == name; });
  return found == plan.collectives.end() ? nullptr : &*found;
}

TEST(GemmShare, IsReadBetweenThePointsByTheLogarithmOfTheSize) {
  Accelerator a = plain_accelerator();
  a.gemm = {{100, 0.2}, {400, 0.6}};
  EXPECT_DOUBLE_EQ(gemm_share(a, 50, 50, 50), 0.1);
  EXPECT_NEAR(gemm_share(a, 100, 100, 100), 0.2, 1e-12);
  EXPECT_NEAR(gemm_share(a, 200, 200, 200), 0.4, 1e-12);
  EXPECT_NEAR(gemm_share(a, 100, 400, 200), 0.4, 1e-12) << "by the cube root";
  EXPECT_DOUBLE_EQ(gemm_share(a, 1e4, 1e4, 1e4), 0.6);
}

TEST(Links, AGroupCrossesNodesByTheCardsOfItsMembersThere) {
  const Accelerator a = plain_accelerator();
  EXPECT_EQ(link_of_group(a, 4, 1).name, "link");
  EXPECT_EQ(link_of_group(a, 2, 2).name, "link");
  EXPECT_EQ(link_of_group(a, 8, 1).name, "network");
  EXPECT_DOUBLE_EQ(link_of_group(a, 8, 1).bandwidth, 4e8);  // four members a node
  EXPECT_DOUBLE_EQ(link_of_group(a, 8, 4).bandwidth, 1e8);  // one
}

TEST(StepPlan, ProductsTakeSixOperationsAParameterAndToken) {
  const PlanInput input = small_input({1, 1});
  const Accelerator a = plain_accelerator();
  const StepPlan plan = plan_step(input, input.spans[0], a);
  const double layer = 64 * (64 + 2 * 32 + 64) + 3 * 64 * 128;
  const double head = 64 * 1024;
  EXPECT_NEAR(plan.gemm_seconds, 6 * 512 * 2 * layer / 0.5e12, 1e-12);
  EXPECT_NEAR(plan.loss_seconds, 6 * 512 * head / 0.5e12 + 512 * 1024 * 26 / 1e11, 1e-12);
  EXPECT_NEAR(plan.attention_seconds, 3.5 * 4 * 512 * 16 * 64 * 2 / 0.5e12, 1e-12);
  EXPECT_EQ(plan.num_micro_batches, 8);
  EXPECT_TRUE(plan.collectives.empty());
  EXPECT_NEAR(plan.mfu, plan.flops / (plan.seconds * 1e12), 1e-12);
}

TEST(StepPlan, FullRecomputationRepeatsTheForwardProducts) {
  PlanInput input = small_input({1, 1});
  const Accelerator a = plain_accelerator();
  const StepPlan none = plan_step(input, input.spans[0], a);
  input.recompute = Recompute::kFull;
  const StepPlan full = plan_step(input, input.spans[0], a);
  EXPECT_NEAR(full.gemm_seconds, none.gemm_seconds * 4 / 3, 1e-12);
  EXPECT_NEAR(full.attention_seconds, none.attention_seconds * 4.5 / 3.5, 1e-12);
  EXPECT_DOUBLE_EQ(full.flops, none.flops) << "MFU counts nothing twice";
}

TEST(StepPlan, CollectivesMoveTheBytesOfARing) {
  const PlanInput input = small_input({2, 8});
  const StepPlan plan = plan_step(input, input.spans[0], plain_accelerator());
  const double stored = double(stored_parameters(input.shape, input.mesh).numel);
  const Collective* gradients = find(plan, "reduce-scatter of gradients");
  const Collective* weights = find(plan, "all-gather of weights");
  const Collective* tokens = find(plan, "all-gather of tokens");
  ASSERT_TRUE(gradients && weights && tokens);
  EXPECT_DOUBLE_EQ(gradients->bytes, stored * 4 * 7 / 8);
  EXPECT_DOUBLE_EQ(weights->bytes, stored * 2 * 7 / 8);
  EXPECT_EQ(gradients->link.name, "network");
  EXPECT_DOUBLE_EQ(gradients->link.bandwidth, 2e8);
  EXPECT_EQ(tokens->link.name, "link");
  // One micro-batch of 64 tokens: 6 a layer and 2 besides, half of the stream each.
  EXPECT_DOUBLE_EQ(tokens->bytes, 14 * 64 * 64 * 2 / 2);
  EXPECT_DOUBLE_EQ(weights->exposed_seconds, weights->seconds);
  EXPECT_LE(gradients->exposed_seconds, gradients->seconds);
}

TEST(StepPlan, SumsInAnOrderOfTheirOwnCostPassesOverTheGradients) {
  PlanInput input = small_input({1, 2});
  const Accelerator a = plain_accelerator();
  const double bytes = 4 * double(stored_parameters(input.shape, input.mesh).numel);
  const StepPlan off = plan_step(input, input.spans[0], a);
  input.reproducible = Reproducible::kSameMesh;
  const StepPlan ordered = plan_step(input, input.spans[0], a);
  const char* name = "reduce-scatter of gradients";
  EXPECT_NEAR(find(ordered, name)->seconds - find(off, name)->seconds, 2 * bytes / 1e11, 1e-12);
  input.reproducible = Reproducible::kDpInvariant;
  const StepPlan tree = plan_step(input, input.spans[0], a);
  EXPECT_NEAR(tree.optimizer_seconds - off.optimizer_seconds, 4 * 6 * bytes / 1e11, 1e-12);
  EXPECT_DOUBLE_EQ(find(tree, name)->seconds, find(ordered, name)->seconds);
}

TEST(StepPlan, WhatIsHiddenIsNotExposedButForTheLastCall) {
  PlanInput input = small_input({1, 2});
  Accelerator a = plain_accelerator();
  a.bf16_flops = 1e8;  // computation is long
  const StepPlan slow = plan_step(input, input.spans[0], a);
  const Collective* gradients = find(slow, "reduce-scatter of gradients");
  ASSERT_NE(gradients, nullptr);
  EXPECT_NEAR(gradients->exposed_seconds, gradients->seconds / gradients->calls, 1e-12);
  input.overlap.gradients = false;
  const StepPlan bare = plan_step(input, input.spans[0], a);
  EXPECT_NEAR(bare.seconds - slow.seconds, gradients->seconds - gradients->exposed_seconds, 1e-9);
}

TEST(StepPlan, WhatIsCutRunsBehindProductsAndNoLongerThanThey) {
  PlanInput input = small_input({2, 1});
  Accelerator a = plain_accelerator();
  a.bf16_flops = 1e9;  // products are long
  const StepPlan bare = plan_step(input, input.spans[0], a);
  input.overlap.tensor = 0.75;
  const StepPlan cut = plan_step(input, input.spans[0], a);
  for (const auto& [name, of_layers] :
       {std::pair{"all-gather of tokens", 12.0}, {"reduce-scatter of tokens", 8.0}}) {
    const Collective* c = find(cut, name);
    ASSERT_NE(c, nullptr);
    const double hidden = 0.75 * c->seconds * of_layers / (of_layers + 2);
    EXPECT_NEAR(c->seconds - c->exposed_seconds, hidden, 1e-12) << name;
  }
  EXPECT_NEAR(bare.seconds - cut.seconds, bare.exposed_seconds() - cut.exposed_seconds(), 1e-9);

  a.bf16_flops = 1e15;  // products are short
  const StepPlan fast = plan_step(input, input.spans[0], a);
  double hidden = 0;
  for (const Collective& c : fast.collectives) hidden += c.seconds - c.exposed_seconds;
  EXPECT_NEAR(hidden, fast.gemm_seconds, 1e-12);
}

TEST(RunPlan, TheBudgetGivesStepsDaysAndSaves) {
  PlanInput input = small_input({1, 2});
  input.spans = {{"a", 32, 16, 2, 512 * 100}, {"a", 32, 32, 2, 1024 * 50}};
  input.tokens_between_saves = 512 * 20;
  const RunPlan plan = plan_run_resources(input, plain_accelerator());
  EXPECT_EQ(plan.spans[0].num_steps, 100);
  EXPECT_EQ(plan.spans[1].num_steps, 50);
  EXPECT_EQ(plan.saves.count, 10);
  EXPECT_DOUBLE_EQ(plan.saves.bytes, 12.0 * double(num_parameters(input.shape)));
  EXPECT_DOUBLE_EQ(plan.saves.stall_seconds, 2 * plan.saves.bytes / 1e9);
  EXPECT_NEAR(plan.seconds,
              100 * plan.spans[0].step.seconds + 50 * plan.spans[1].step.seconds +
                  10 * plan.saves.stall_seconds,
              1e-9);
  EXPECT_DOUBLE_EQ(plan.rank_hours(), plan.days() * 24 * 2);
  input.asynchronous_saves = true;
  EXPECT_DOUBLE_EQ(plan_run_resources(input, plain_accelerator()).saves.stall_seconds,
                   plan.saves.bytes / 2 / 1e9)
      << "each rank copies its share to the host";
}

TEST(PlanInputOfARun, OnlyAGpuCommunicatesBehindComputation) {
  RunConfig config;
  config.parallel.device = DeviceKind::kCpu;
  config.parallel.overlap_chunks = 2;
  const Overlap host = plan_input(config, 2).overlap;
  EXPECT_FALSE(host.gradients || host.weights);
  EXPECT_EQ(host.tensor, 0);
  config.parallel.device = DeviceKind::kCuda;
  const Overlap halves = plan_input(config, 2).overlap;
  EXPECT_TRUE(halves.gradients && halves.weights);
  EXPECT_EQ(halves.tensor, 0.5);
  config.parallel.overlap_chunks = 0;
  EXPECT_EQ(plan_input(config, 2).overlap.tensor, 0.75) << "four pieces";
  config.parallel.overlap_chunks = 1;
  EXPECT_EQ(plan_input(config, 2).overlap.tensor, 0);
}

TEST(PlanInputOfARun, ARampIsCutIntoSpans) {
  RunConfig config;
  config.parallel.tensor_parallel_size = 2;
  config.precision = Precision::kFp32;
  config.checkpoint.interval = {Duration::Unit::kTokens, 7};
  StageConfig stage;
  stage.name = "pretrain";
  stage.sequence_length = 8;
  stage.global_batch_size = 4;
  stage.micro_batch_size = 2;
  stage.batch_ramp = {{100, 8}, {500, 16}};
  stage.phases.resize(2);
  stage.phases[0].tokens = 400;
  stage.phases[1].tokens = 600;
  config.stages = {stage};
  const PlanInput input = plan_input(config, 6);
  EXPECT_EQ(input.mesh, (MeshSize{2, 3}));
  EXPECT_EQ(input.state.weight, 4);
  EXPECT_EQ(input.tokens_between_saves, 7);
  const std::vector<WorkSpan> expected = {
      {"pretrain", 8, 4, 2, 100}, {"pretrain", 8, 8, 2, 400}, {"pretrain", 8, 16, 2, 500}};
  EXPECT_EQ(input.spans, expected);
  EXPECT_THROW(plan_input(config, 5), std::invalid_argument);
}

}  // namespace
}  // namespace phalanx
