// Rules between fields: each violation with its whole message.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/configs/example_config.h"

namespace phalanx {
namespace {

using testing::error_of;
using testing::example_with;
using testing::example_yaml;

TEST(Rules, TheMeshMustDivideTheRanks) {
  EXPECT_EQ(
      error_of(example_yaml(), {"parallel.tensor_parallel_size=2"}, 3),
      "command line: parallel.tensor_parallel_size: expected a divisor of the 3 ranks, got 2");
  EXPECT_EQ(error_of(example_yaml(), {"parallel.tensor_parallel_size=2"}, 4), "");
}

TEST(Rules, QueryHeadsSplitEvenlyButKeyValueHeadsNeedNot) {
  const std::string ten_heads = example_with(
      "{preset: phi4-10m}",
      "{preset: phi4-10m, num_attention_heads: 40, num_key_value_heads: 10, head_dim: 8}");
  EXPECT_EQ(error_of(ten_heads, {"parallel.tensor_parallel_size=8"}, 8), "");
  EXPECT_EQ(error_of(ten_heads, {"parallel.tensor_parallel_size=3"}, 3),
            "command line: parallel.tensor_parallel_size: expected a divisor of the 40 attention "
            "heads, got 3");
}

TEST(Rules, DpInvariantRunsHaveATreeOfMicroBatchesAndPinnedThreads) {
  // Micro-batches of 2 of 16 rows: 8 leaves.
  const auto error = [](std::vector<std::string> overrides, int64_t ranks) {
    overrides.push_back("reproducible=dp_invariant");
    if (overrides[0] != "parallel.threads_per_rank=0") {
      overrides.push_back("parallel.threads_per_rank=1");
    }
    return error_of(example_yaml(), overrides, ranks);
  };
  const std::string with = "with reproducible: dp_invariant, ";
  EXPECT_EQ(error({"run.name=a"}, 8), "");
  EXPECT_EQ(error({"parallel.threads_per_rank=0"}, 1),
            "command line: parallel.threads_per_rank: " + with +
                "expected a number of threads, which sums in LibTorch depend on, got 0");
  EXPECT_EQ(error({"gradients=bf16"}, 1),
            "command line: gradients: " + with +
                "expected fp32, which micro-batches are summed in, got bf16");
  EXPECT_EQ(error({"stages[0].global_batch_size=48"}, 1),
            "command line: stages[0].global_batch_size: " + with +
                "expected micro_batch_size 2 x leaf_group_size 1 x a power of two, got 48");
  EXPECT_EQ(error({"stages[0].global_batch_size=48", "leaf_group_size=3"}, 4), "");
  EXPECT_EQ(error({"leaf_group_size=4"}, 4),
            "run.yaml:15:24: stages[0].global_batch_size: " + with +
                "expected at least a group of micro_batch_size 2 x leaf_group_size 4 rows for "
                "each of the 4 replicas, got 16");
  EXPECT_EQ(error({"stages[0].global_batch_size=96", "leaf_group_size=3"}, 3),
            "command line: reproducible: " + with +
                "expected a power of two of data-parallel replicas, got 3");
  EXPECT_EQ(error_of(example_yaml(), {"leaf_group_size=2"}, 1),
            "command line: leaf_group_size: expected 1 without reproducible: dp_invariant, got 2");
}

TEST(Rules, Fp8AndGraphsAreForCudaAndGraphsForOneRankWithoutDocuments) {
  EXPECT_EQ(error_of(example_yaml(), {"precision=fp8"}, 1),
            "command line: precision: expected bf16 or fp32 with parallel.device: cpu, got fp8");
  EXPECT_EQ(error_of(example_yaml(), {"precision=fp8", "parallel.device=cuda"}, 1), "");
  EXPECT_EQ(
      error_of(example_yaml(), {"precision=fp8", "parallel.device=cuda", "fp8_scaling=rowwise"}, 1),
      "");
  EXPECT_EQ(error_of(example_yaml(), {"fp8_scaling=rowwise"}, 1),
            "command line: fp8_scaling: expected tensorwise without precision: fp8, got rowwise");
  EXPECT_EQ(error_of(example_yaml(), {"parallel.cuda_graphs=true"}, 1),
            "command line: parallel.cuda_graphs: expected false with parallel.device: cpu, got "
            "true");
  const std::vector<std::string> graphs{"parallel.cuda_graphs=true", "parallel.device=cuda"};
  EXPECT_EQ(error_of(example_yaml(), graphs, 1), "");
  EXPECT_EQ(error_of(example_yaml(), graphs, 2),
            "command line: parallel.cuda_graphs: expected false on more than one rank, got true on "
            "2");
  EXPECT_EQ(
      error_of(example_yaml(),
               {"parallel.cuda_graphs=true", "parallel.device=cuda", "gradients=bf16"}, 1),
      "command line: parallel.cuda_graphs: expected false with gradients: bf16, whose rounding "
      "differs from step to step");
  EXPECT_EQ(
      error_of(example_yaml(),
               {"parallel.cuda_graphs=true", "parallel.device=cuda", "data.document_mask=true"}, 1),
      "command line: parallel.cuda_graphs: expected false with data.document_mask, whose "
      "documents differ from row to row");
  EXPECT_EQ(
      error_of(example_yaml(),
               {"parallel.cuda_graphs=true", "parallel.device=cuda", "gradients=bf16"}, 1),
      "command line: parallel.cuda_graphs: expected false with gradients: bf16, whose rounding "
      "differs from step to step");
}

TEST(Rules, TheGlobalBatchIsAMultipleOfMicroBatchTimesReplicas) {
  EXPECT_EQ(error_of(example_yaml(), {}, 3),
            "run.yaml:15:24: stages[0].global_batch_size: expected a multiple of micro_batch_size "
            "2 x 3 data-parallel replicas = 6, got 16");
  EXPECT_EQ(error_of(example_yaml(), {}, 8), "");
  EXPECT_EQ(error_of(example_with("micro_batch_size: 2", "micro_batch_size: 3")),
            "run.yaml:15:24: stages[0].global_batch_size: expected a multiple of micro_batch_size "
            "3, got 16");
}

TEST(Rules, ABatchRampRisesInsideItsStageAndEachOfItsSizesDivides) {
  const auto ramped = [](const std::string& entries) {
    return example_with("    micro_batch_size: 2\n",
                        "    micro_batch_size: 2\n    batch_ramp: [" + entries + "]\n");
  };
  EXPECT_EQ(error_of(ramped("{from_tokens: 1M, global_batch_size: 32}, {from_tokens: 5M, "
                            "global_batch_size: 64}"),
                     {}, 8),
            "");
  EXPECT_EQ(error_of(ramped("{from_tokens: 1M, global_batch_size: 31}, {from_tokens: 1M, "
                            "global_batch_size: 20}"),
                     {}, 4),
            "run.yaml:17:55: stages[0].batch_ramp[0].global_batch_size: expected a multiple of "
            "micro_batch_size 2, got 31\n"
            "run.yaml:17:74: stages[0].batch_ramp[1].from_tokens: expected more than the 1000000 "
            "of the entry before, got 1000000\n"
            "run.yaml:17:97: stages[0].batch_ramp[1].global_batch_size: expected a multiple of "
            "micro_batch_size 2 x 4 data-parallel replicas = 8, got 20");
  EXPECT_EQ(error_of(ramped("{from_tokens: 20M, global_batch_size: 32}")),
            "run.yaml:17:32: stages[0].batch_ramp[0].from_tokens: expected less than the stage's "
            "20000000 tokens, got 20000000");
  // Steps of warm-up are counted as the ramp makes them: 10 of 16 rows, then 148 of 32.
  const std::string grown = ramped("{from_tokens: 655360, global_batch_size: 32}");
  EXPECT_EQ(error_of(grown, {"stages[0].learning_rate.warmup_tokens=0"}), "");
  std::string steps = grown;
  steps.replace(steps.find("warmup_tokens: 2M"), 17, "warmup_steps: 150");
  EXPECT_EQ(error_of(steps), "");
  steps.replace(steps.find("warmup_steps: 150"), 17, "warmup_steps: 160");
  EXPECT_EQ(error_of(steps),
            "run.yaml:18:47: stages[0].learning_rate.warmup_steps: expected less than the stage's "
            "20000000 tokens, got 160 steps");
}

TEST(Rules, ModelShapesAreCheckedAtTheirPlace) {
  EXPECT_EQ(error_of(example_with("phi4-10m}", "phi4-10m, num_key_value_heads: 3}")),
            "run.yaml:2:48: model.num_key_value_heads: expected a divisor of the 8 attention "
            "heads, got 3");
}

TEST(Rules, NamesAreUnique) {
  EXPECT_EQ(error_of(example_with("name: later", "name: foundation")),
            "run.yaml:20:16: stages[0].phases[1].name: expected a name of its own, got "
            "'foundation' again");
}

TEST(Rules, MixesSumToOne) {
  EXPECT_EQ(error_of(example_with("{web: 0.4, synthetic: rest}", "{web: 0.4, synthetic: 0.5}")),
            "run.yaml:19:45: stages[0].phases[0].mix: expected weights that sum to 1 (one may be "
            "'rest'), got 0.9");
  EXPECT_EQ(error_of(example_with("{web: 0.4, synthetic: rest}", "{web: rest, synthetic: rest}")),
            "run.yaml:19:68: stages[0].phases[0].mix.synthetic: expected at most one 'rest' in a "
            "mix");
  EXPECT_EQ(error_of(example_with("{web: 0.4, synthetic: rest}",
                                  "{web: 0.7, exercises: 0.5, synthetic: rest}")),
            "run.yaml:19:45: stages[0].phases[0].mix: expected weights that leave a rest of 1, got "
            "a sum of 1.2");
  EXPECT_EQ(error_of(example_with("{web: 0.4, synthetic: rest}",
                                  "{web: 0.3333333, synthetic: 0.6666666}")),
            "");
}

TEST(Rules, MixesNameSourcesAndGroups) {
  EXPECT_EQ(error_of(example_with("{web: 0.4, synthetic: rest}", "{wbe: 0.4, synthetic: rest}")),
            "run.yaml:19:51: stages[0].phases[0].mix.wbe: no source or group of this name; did you "
            "mean 'web'?");
  EXPECT_EQ(error_of(example_with("{web: 0.4, synthetic: rest}", "{books: 0.4, web: rest}")),
            "run.yaml:19:53: stages[0].phases[0].mix.books: no source or group of this name; "
            "known: web, exercises, synthetic");
}

TEST(Rules, GroupsHoldSourcesWithSharesThatSumToOne) {
  EXPECT_EQ(error_of(example_with("{exercises: 1.0}", "{exercise: 0.5, web: 0.3}")),
            "run.yaml:10:23: data.groups.synthetic: expected shares that sum to 1, got 0.8\n"
            "run.yaml:10:34: data.groups.synthetic.exercise: no source of this name; did you mean "
            "'exercises'?");
  EXPECT_EQ(error_of(example_with("groups: {synthetic", "groups: {web: {exercises: 1}, synthetic")),
            "run.yaml:10:17: data.groups.web: expected a name that no source has");
}

TEST(Rules, RampsNeedAMixBeforeThemAndFitTheirPhase) {
  EXPECT_EQ(error_of(example_with("synthetic: rest}}", "synthetic: rest}, ramp: linear}")),
            "run.yaml:19:80: stages[0].phases[0].ramp: expected step in the first phase, which has "
            "no mix before it, got linear");
  EXPECT_EQ(error_of(example_with("ramp_tokens: 2M", "ramp_tokens: 15M")),
            "run.yaml:20:98: stages[0].phases[1].ramp_tokens: expected at most the phase's "
            "14000000 tokens, got 15000000");
  EXPECT_EQ(error_of(example_with("ramp: linear, ", "")),
            "run.yaml:20:84: stages[0].phases[1].ramp_tokens: expected only with ramp: linear");
}

TEST(Rules, WarmUpIsShorterThanTheStage) {
  EXPECT_EQ(error_of(example_with("warmup_tokens: 2M", "warmup_tokens: 20M")),
            "run.yaml:17:48: stages[0].learning_rate.warmup_tokens: expected less than the stage's "
            "20000000 tokens, got 20000000 tokens");
  // A step is 16 x 4,096 tokens.
  EXPECT_EQ(error_of(example_with("warmup_tokens: 2M", "warmup_steps: 305")), "");
  EXPECT_EQ(error_of(example_with("warmup_tokens: 2M", "warmup_steps: 306")),
            "run.yaml:17:47: stages[0].learning_rate.warmup_steps: expected less than the stage's "
            "20000000 tokens, got 306 steps");
}

TEST(Rules, WarmUpInBothUnitsIsRefused) {
  EXPECT_EQ(error_of(example_with("warmup_tokens: 2M", "warmup_tokens: 2M, warmup_steps: 3")),
            "run.yaml:17:66: stages[0].learning_rate.warmup_steps: expected either this or "
            "warmup_tokens, got both");
}

TEST(Rules, DecayBelongsToTheConstantSchedule) {
  EXPECT_EQ(error_of(example_with("final: 0", "decay_tokens: 1M")),
            "run.yaml:17:84: stages[0].learning_rate.decay_tokens: expected only with schedule: "
            "constant");
  EXPECT_EQ(
      error_of(example_with("schedule: linear, final: 0", "schedule: constant, decay_tokens: 19M")),
      "run.yaml:17:86: stages[0].learning_rate.decay_tokens: expected warm-up and decay "
      "within the stage's 20000000 tokens, got 2000000 tokens and 19000000 tokens");
}

TEST(Rules, RatesArePositiveAndEndBelowTheirPeak) {
  EXPECT_EQ(error_of(example_with("peak: 3e-4", "peak: 0")),
            "run.yaml:17:27: stages[0].learning_rate.peak: expected a number > 0, got '0'");
  EXPECT_EQ(error_of(example_with("final: 0", "final: 1e-3")),
            "run.yaml:17:77: stages[0].learning_rate.final: expected at most the peak 0.0003, got "
            "0.001");
}

TEST(Rules, LengthsThatWouldOverflowAreRefused) {
  EXPECT_EQ(error_of(example_with("tokens: 14M", "tokens: 9000000T")),
            "run.yaml:12:3: stages: expected phases whose tokens sum to at most 2^62");
  EXPECT_NE(error_of(example_with("warmup_tokens: 2M", "warmup_steps: 9000000T")), "");
}

TEST(Rules, AllViolationsComeAtOnce) {
  std::string text = example_with("name: later", "name: foundation");
  text.replace(text.find("final: 0"), 8, "final: 1");
  const std::string message = error_of(text, {"parallel.tensor_parallel_size=2"}, 3);
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 2) << message;
}

TEST(Rules, ABf16MasterIsABf16Weight) {
  EXPECT_EQ(error_of(example_yaml(), {"precision=bf16", "optimizer.master=bf16"}), "");
  EXPECT_EQ(error_of(example_yaml(), {"precision=fp32", "optimizer.master=bf16"}),
            "command line: optimizer.master: expected fp32 with precision: fp32, whose weights are "
            "no bf16 masters; got bf16");
}

TEST(Rules, OnlyAGpuOffloadsToTheHost) {
  EXPECT_EQ(error_of(example_yaml(), {"parallel.device=cuda", "optimizer.offload=host"}), "");
  EXPECT_EQ(
      error_of(example_yaml(), {"parallel.device=cpu", "optimizer.offload=host"}),
      "command line: optimizer.offload: expected none with parallel.device: cpu, whose memory "
      "is the host's; got host");
}

TEST(Rules, WhatIsKeptInBf16IsReadAndWrittenBack) {
  const ResolvedConfig config = testing::read(
      example_yaml(),
      {"precision=bf16", "optimizer.state=bf16", "optimizer.master=bf16", "gradients=bf16"});
  EXPECT_EQ(config.run.optimizer.state, Precision::kBf16);
  EXPECT_EQ(config.run.optimizer.master, Precision::kBf16);
  EXPECT_EQ(config.run.gradients, Precision::kBf16);
  EXPECT_EQ(testing::read(example_yaml()).run.gradients, Precision::kFp32);
  EXPECT_EQ(error_of(example_yaml(), {"optimizer.state=half"}),
            "command line: optimizer.state: expected fp32 or bf16, got 'half'");
}

}  // namespace
}  // namespace phalanx
