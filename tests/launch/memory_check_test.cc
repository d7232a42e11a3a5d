// What a run is told that would not fit: needed, there, what would fit.
#include "launch/memory_check.h"

#include <gtest/gtest.h>

#include "configs/gpu_table.h"

namespace phalanx {
namespace {

Accelerator h100() {
  return find_gpu(read_gpu_table({PHALANX_SOURCE_DIR "/configs/gpus.yaml"}), "h100");
}

PlanInput phi4_input() {
  PlanInput input;
  input.mesh = {1, 8};
  input.spans = {{"pretrain", 4096, 64, 1, 1'000'000}};
  return input;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(MemoryRefusal, ThereIsNoneWhereThePlanFits) {
  const int64_t needed = plan_memory(phi4_input(), h100()).total();
  EXPECT_EQ(memory_refusal(phi4_input(), h100(), {needed}), "");
  EXPECT_NE(memory_refusal(phi4_input(), h100(), {needed - 1}), "");
}

TEST(MemoryRefusal, ItNamesWhatIsNeededWhatIsThereAndWhatWouldFit) {
  const int64_t there = int64_t{79} << 30;
  const std::string text = memory_refusal(phi4_input(), h100(), {there});
  EXPECT_TRUE(contains(text, "memory: expected at most the 79.00 GiB that a rank finds free"))
      << text;
  for (const char* category : {"weights 27.3", "gradients 54.6", "optimizer 20.", "activations "}) {
    EXPECT_TRUE(contains(text, category)) << category << " in " << text;
  }
  EXPECT_TRUE(contains(text, "on 8 ranks this would fit, with ")) << text;
  EXPECT_TRUE(contains(text, "parallel.tensor_parallel_size=")) << text;
  EXPECT_EQ(text.find('\n'), std::string::npos);
}

TEST(MemoryRefusal, WhatItProposesFits) {
  Accelerator here = h100();
  here.memory_bytes = int64_t{60} << 30;
  const MeshSearch search = search_meshes(phi4_input(), here, {usable_memory(here)});
  ASSERT_FALSE(search.fitting.empty());
  const std::string text = memory_refusal(phi4_input(), h100(), {here.memory_bytes});
  EXPECT_TRUE(contains(text, overrides_text(search.fitting.front().input))) << text;
  EXPECT_EQ(memory_refusal(search.fitting.front().input, h100(), {here.memory_bytes}), "");
}

TEST(MemoryRefusal, WhereNoMeshFitsItNamesHowGradientsAndOptimizerWouldBeKept) {
  PlanInput input = phi4_input();
  input.mesh = {1, 1};
  const SearchLimits free{int64_t{139} << 30, int64_t{1} << 40};
  const std::string text = memory_refusal(input, h100(), free);
  EXPECT_TRUE(contains(text, "on 1 rank this would fit, with ")) << text;
  EXPECT_TRUE(contains(text,
                       ": gradients=bf16 optimizer.state=bf16 optimizer.master=bf16 "
                       "parallel.tensor_parallel_size=1 recompute="))
      << text;
}

TEST(MemoryRefusal, WhatIsOffloadedMustFitOnTheHost) {
  PlanInput input = phi4_input();
  input.state.offload = true;
  const MemoryPlan plan = plan_memory(input, h100());
  ASSERT_GT(plan.host, 0);
  EXPECT_EQ(memory_refusal(input, h100(), {plan.total(), plan.host}), "");
  const std::string text = memory_refusal(input, h100(), {plan.total(), plan.host - 1});
  EXPECT_TRUE(contains(text, "that a rank finds free on the host, needs 20.")) << text;
  EXPECT_TRUE(contains(text, "this would fit, with ")) << text;
  EXPECT_FALSE(contains(text, "offload=host")) << "the host has no room: " << text;
}

TEST(MemoryRefusal, WithoutAnyItSaysSo) {
  EXPECT_TRUE(
      contains(memory_refusal(phi4_input(), h100(), {1 << 30}), "no mesh of 8 ranks would fit"));
}

}  // namespace
}  // namespace phalanx
