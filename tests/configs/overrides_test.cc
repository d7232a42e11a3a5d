// key=value after the file: into sections, lists and tables, with their own place in messages.
#include <gtest/gtest.h>

#include "tests/configs/example_config.h"

namespace phalanx {
namespace {

using testing::error_of;
using testing::example_yaml;
using testing::read;

TEST(Overrides, ReachSectionsListsAndTables) {
  const RunConfig run =
      read(example_yaml(), {"optimizer.weight_decay=0", "stages[0].phases[1].mix.web=0.25",
                            "parallel.tensor_parallel_size=2", "data.sources.web.path=/elsewhere",
                            "stages[0].learning_rate.peak=1e-4"})
          .run;
  EXPECT_EQ(run.optimizer.weight_decay, 0);
  EXPECT_EQ(run.stages[0].phases[1].mix[0].name, "web");
  EXPECT_EQ(run.stages[0].phases[1].mix[0].weight, 0.25);
  EXPECT_EQ(run.parallel.tensor_parallel_size, 2);
  EXPECT_EQ(run.data.sources[0].path, "/elsewhere");
  EXPECT_EQ(run.stages[0].learning_rate.peak, 1e-4);
}

TEST(Overrides, MakeSectionsThatTheFileLeavesOut) {
  const RunConfig run =
      read(example_yaml(), {"checkpoint.interval=20min", "run.stop_after_steps=3"}).run;
  EXPECT_EQ(run.checkpoint.interval_seconds, 1200);
  EXPECT_EQ(run.stop_after_steps, 3);
}

TEST(Overrides, TakeWholeSectionsAsYaml) {
  const RunConfig run = read(example_yaml(), {"stages[0].phases[0].mix={web: 1}"}).run;
  ASSERT_EQ(run.stages[0].phases[0].mix.size(), 1u);
  EXPECT_EQ(run.stages[0].phases[0].mix[0].weight, 1.0);
}

TEST(Overrides, KeepEqualSignsOfTheValue) {
  EXPECT_EQ(read(example_yaml(), {"data.tokenizer=a=b"}).run.data.tokenizer, "a=b");
}

TEST(Overrides, UnknownFieldGetsDidYouMean) {
  EXPECT_EQ(error_of(example_yaml(), {"optimizer.weigth_decay=0"}),
            "command line: optimizer.weigth_decay: unknown key; did you mean 'weight_decay'?");
  EXPECT_EQ(
      error_of(example_yaml(), {"train.learning_rate=1"}),
      "command line: train: unknown key; known here: run, fork, model, parallel, data, stages, "
      "optimizer, precision, fp8_scaling, gradients, recompute, reproducible, leaf_group_size, "
      "loss_chunk_tokens, curriculum_from, checkpoint, evaluation, watchdog, numbers, "
      "logging");
  EXPECT_EQ(error_of(example_yaml(), {"lr=1"}),
            "command line: lr: unknown key; did you mean 'learning_rate.peak'?");
}

TEST(Overrides, WrongValuesNameTheCommandLine) {
  EXPECT_EQ(error_of(example_yaml(), {"optimizer.beta1=x"}),
            "command line: optimizer.beta1: expected a number >= 0 and < 1, got 'x'");
  EXPECT_EQ(error_of(example_yaml(), {"optimizer.beta1="}),
            "command line: optimizer.beta1: expected a number >= 0 and < 1, got nothing");
  EXPECT_EQ(error_of(example_yaml(), {"optimizer.beta1={a: "}),
            "command line: optimizer.beta1: expected a value in YAML, got '{a: '\n"
            "command line: optimizer.beta1: expected a number >= 0 and < 1, got nothing");
}

TEST(Overrides, ListsDoNotGrowAndTakeOnlyIndices) {
  EXPECT_EQ(error_of(example_yaml(), {"stages[1].name=x"}),
            "command line: stages[1].name: expected an index below 1, the length of the list, "
            "got 1");
  EXPECT_EQ(error_of(example_yaml(), {"run[0]=x"}),
            "command line: run[0]: expected a list, found a section");
  EXPECT_EQ(error_of(example_yaml(), {"stages.name=x"}),
            "command line: stages.name: expected a section that could hold 'name', found a list");
}

TEST(Overrides, WhatIsNoAssignmentIsRefused) {
  const std::string expected =
      "command line: expected key=value (like optimizer.weight_decay=0 or "
      "stages[0].phases[1].mix.web=0.25), got '";
  for (const std::string text : {"optimizer", "=1", "a..b=1", "a[=1", "a[x]=1", "a[0]b=1", ".a=1",
                                 "a.=1", "a[99999999999999999999]=1"}) {
    EXPECT_EQ(error_of(example_yaml(), {text}), expected + text + "'");
  }
}

TEST(Overrides, GivenTwiceIsRefused) {
  EXPECT_EQ(error_of(example_yaml(), {"precision=fp32", "precision=bf16"}),
            "command line: precision: given twice");
}

TEST(Overrides, TimesOfTheWatchdog) {
  const RunConfig usual = read(example_yaml(), {}).run;
  EXPECT_EQ(usual.watchdog.limits.train, std::nullopt);
  EXPECT_EQ(usual.wall_clock_limit_seconds, 0);
  const RunConfig run =
      read(example_yaml(), {"watchdog.timeout=90s", "watchdog.save_timeout=0",
                            "watchdog.straggler_interval=500ms", "run.wall_clock_limit=23h"})
          .run;
  EXPECT_EQ(run.watchdog.limits.train, 90);
  EXPECT_EQ(run.watchdog.limits.save, 0);
  EXPECT_EQ(run.watchdog.straggler_interval_seconds, 0.5);
  EXPECT_EQ(run.wall_clock_limit_seconds, 82800);
  EXPECT_EQ(read(example_yaml(), {"watchdog.timeout=auto"}).run.watchdog.limits.train,
            std::nullopt);
  EXPECT_EQ(error_of(example_yaml(), {"watchdog.timeout=90"}),
            "command line: watchdog.timeout: expected auto, a time (90s, 20min, 1.5h) or 0, got "
            "'90'");
}

}  // namespace
}  // namespace phalanx
