// The search: what fits, best first, and why others do not.
#include "trainer/planner/state_search.h"

#include <gtest/gtest.h>

#include "configs/gpu_table.h"
#include "configs/read_config.h"

namespace phalanx {
namespace {

const Accelerator& h100() {
  static const GpuTable table = read_gpu_table({PHALANX_SOURCE_DIR "/configs/gpus.yaml"});
  return find_gpu(table, "h100");
}

PlanInput phi4_input(int64_t ranks, int64_t rows) {
  PlanInput input;
  input.mesh = {1, ranks};
  input.spans = {{"pretrain", 4096, rows, 1, 1'000'000'000}};
  return input;
}

const RefusedMesh* refusal(const MeshSearch& search, int64_t tensor) {
  for (const RefusedMesh& mesh : search.refused) {
    if (mesh.tensor_parallel_size == tensor) return &mesh;
  }
  return nullptr;
}

TEST(MeshSearch, WhatFitsFitsAndComesBestFirst) {
  const SearchLimits limits{int64_t{75} << 30};
  const MeshSearch search = search_meshes(phi4_input(64, 768), h100(), limits);
  ASSERT_GE(search.fitting.size(), 4u);
  for (size_t i = 0; i < search.fitting.size(); ++i) {
    const MeshCandidate& mesh = search.fitting[i];
    EXPECT_LE(plan_memory(mesh.input, h100()).total(), limits.memory_bytes);
    EXPECT_EQ(mesh.input.mesh.num_ranks(), 64);
    EXPECT_EQ(768 / mesh.input.mesh.data_parallel % mesh.input.spans[0].micro_batch_size, 0);
    EXPECT_NEAR(mesh.tokens_per_second,
                plan_step(mesh.input, mesh.input.spans[0], h100()).tokens_per_second,
                1e-6 * mesh.tokens_per_second);
    if (i > 0) {
      EXPECT_LE(mesh.tokens_per_second, search.fitting[i - 1].tokens_per_second);
    }
  }
}

TEST(MeshSearch, EverySizeThatIsOutSaysWhy) {
  const MeshSearch search = search_meshes(phi4_input(64, 768), h100(), {int64_t{75} << 30});
  ASSERT_NE(refusal(search, 16), nullptr);
  EXPECT_EQ(refusal(search, 16)->reason, "does not divide the 40 attention heads");
  const MeshSearch few = search_meshes(phi4_input(4, 8), h100(), {int64_t{40} << 30});
  ASSERT_NE(refusal(few, 1), nullptr);
  EXPECT_NE(refusal(few, 1)->reason.find("needs at least"), std::string::npos);
  EXPECT_NE(refusal(few, 1)->reason.find("of 40.00 GiB"), std::string::npos)
      << refusal(few, 1)->reason;
  const MeshSearch rows = search_meshes(phi4_input(16, 12), h100(), {int64_t{75} << 30});
  ASSERT_NE(refusal(rows, 1), nullptr);
  EXPECT_EQ(refusal(rows, 1)->reason,
            "leaves 16 replicas, which do not divide the 12 rows of a step of stage pretrain");
}

TEST(MeshSearch, SpansOfAStageShareAMicroBatchThatDividesAll) {
  PlanInput input = phi4_input(8, 96);
  input.spans.push_back({"pretrain", 4096, 160, 1, 1'000'000});
  input.spans.push_back({"long", 16384, 32, 1, 1'000'000});
  const MeshSearch search = search_meshes(input, h100(), {int64_t{75} << 30});
  ASSERT_FALSE(search.fitting.empty());
  for (const MeshCandidate& mesh : search.fitting) {
    const std::vector<WorkSpan>& spans = mesh.input.spans;
    EXPECT_EQ(spans[0].micro_batch_size, spans[1].micro_batch_size);
    for (const WorkSpan& span : spans) {
      EXPECT_EQ(span.rows_per_step / mesh.input.mesh.data_parallel % span.micro_batch_size, 0);
    }
  }
}

/// phi4-14b on one GPU of 141 GB trains in full with 8 bytes a parameter, or with 12 of 18 on the
/// host, and no other way.
TEST(StateSearch, SaysWhatLetsFourteenBillionParametersTrainOnOneGpu) {
  const GpuTable table = read_gpu_table({PHALANX_SOURCE_DIR "/configs/gpus.yaml"});
  const Accelerator& h200 = find_gpu(table, "h200");
  PlanInput input = phi4_input(1, 16);
  std::vector<std::string> fitting;
  for (const StateResult& result : search_states(input, h200, {usable_memory(h200)})) {
    EXPECT_EQ(result.best.has_value(), result.least_bytes <= usable_memory(h200));
    if (result.best) fitting.push_back(result.choice.overrides);
  }
  EXPECT_EQ(fitting,
            (std::vector<std::string>{"gradients=bf16 optimizer.state=bf16 optimizer.master=bf16",
                                      "gradients=fp32 optimizer.offload=host",
                                      "gradients=bf16 optimizer.offload=host"}));
}

TEST(StateSearch, OnlyAGpuHasAHostBesideIt) {
  EXPECT_EQ(state_choices({}, DeviceKind::kCuda).size(), 7u);
  EXPECT_EQ(state_choices({}, DeviceKind::kCpu).size(), 5u);
  EXPECT_EQ(state_choices({4, 4, 4, 4, false}, DeviceKind::kCpu).size(), 3u) << "fp32 weights";
}

TEST(StateSearch, WhatIsOffloadedIsToldToLeaveTheHost) {
  const std::string off = " optimizer.offload=none", on = "optimizer.offload=host";
  for (const bool offload : {false, true}) {
    for (const StateChoice& choice : state_choices({2, 4, 4, 4, offload}, DeviceKind::kCuda)) {
      const bool says = choice.overrides.find(off) != std::string::npos;
      EXPECT_EQ(says, offload && !choice.state.offload) << choice.overrides;
      EXPECT_EQ(choice.overrides.find(on) != std::string::npos, choice.state.offload);
    }
  }
}

TEST(MeshSearch, OverridesNameWhatWasChosen) {
  PlanInput input = phi4_input(8, 96);
  input.mesh = {2, 4};
  input.recompute = Recompute::kSelective;
  input.spans = {{"a", 8, 4, 3, 0}, {"a", 8, 8, 3, 0}, {"b", 16, 4, 1, 0}};
  EXPECT_EQ(overrides_text(input),
            "parallel.tensor_parallel_size=2 recompute=selective stages[0].micro_batch_size=3 "
            "stages[1].micro_batch_size=1");
}

}  // namespace
}  // namespace phalanx
