// What a resume may change, and what it may not.
#include <gtest/gtest.h>

#include "configs/field_list.h"
#include "tests/configs/example_config.h"

namespace phalanx {
namespace {

using testing::example_yaml;
using testing::read;
using Lines = std::vector<std::string>;

Lines differences(const std::vector<std::string>& overrides) {
  const std::string stored = resolved_yaml(read(example_yaml()));
  return compare_for_resume(stored, read(example_yaml(), overrides));
}

TEST(CompareForResume, TheSameConfigurationHasNoDifference) { EXPECT_EQ(differences({}), Lines{}); }

TEST(CompareForResume, FixedFieldsShowBothValuesAndWhereTheNewOneIs) {
  EXPECT_EQ(differences({"data.seed=99", "model.num_hidden_layers=8"}),
            (Lines{"model.num_hidden_layers: fixed for a run; the checkpoint has 7, this "
                   "configuration 8 (command line)",
                   "data.seed: fixed for a run; the checkpoint has 1234, this configuration 99 "
                   "(command line)"}));
}

TEST(CompareForResume, CurriculumRatesMeshAndLoggingMayChange) {
  EXPECT_EQ(differences({"stages[0].phases[1].tokens=40M", "stages[0].phases[1].mix.web=0.3",
                         "stages[0].learning_rate.peak=1e-4", "parallel.tensor_parallel_size=2",
                         "data.sources.web.max_epochs=3", "data.sources.web.path=/moved",
                         "checkpoint.interval=1h", "evaluation.interval=5 steps",
                         "curriculum_from=resume", "run.stop_after_steps=9"}),
            Lines{});
}

TEST(CompareForResume, WhatIsKeptInBf16MayChange) {
  EXPECT_EQ(differences({"precision=bf16", "optimizer.state=bf16", "optimizer.master=bf16",
                         "gradients=bf16"}),
            Lines{});
}

TEST(CompareForResume, WhatChangesTheOrderOfSumsIsFixedBetweenDpInvariantRuns) {
  const std::vector<std::string> tree{"reproducible=dp_invariant", "parallel.threads_per_rank=2"};
  const std::string stored = resolved_yaml(read(example_yaml(), tree));
  const auto differs = [&](std::vector<std::string> overrides) {
    return compare_for_resume(stored, read(example_yaml(), overrides));
  };
  EXPECT_EQ(differs(tree), Lines{});
  EXPECT_EQ(differs({tree[0], "parallel.threads_per_rank=4"}),
            (Lines{"parallel.threads_per_rank: fixed for a run with reproducible: dp_invariant; "
                   "the checkpoint has 2, this configuration 4 (command line)"}));
  EXPECT_EQ(differs({tree[0], tree[1], "parallel.tensor_parallel_size=2",
                     "stages[0].micro_batch_size=4", "loss_chunk_tokens=512"})
                .size(),
            3u);
  EXPECT_EQ(differs({"parallel.threads_per_rank=4"}), Lines{}) << "the promise is given up";
}

TEST(CompareForResume, OptimizerAndPrecisionAreFixed) {
  EXPECT_EQ(differences({"precision=fp32"}).size(), 1u);
  EXPECT_EQ(differences({"optimizer.beta2=0.99"}).size(), 1u);
  EXPECT_EQ(differences({"stages[0].sequence_length=2048"}).size(), 1u);
}

}  // namespace
}  // namespace phalanx
