// The resolved configuration: complete, with origins, and it reads back to the same values.
#include <gtest/gtest.h>

#include <set>

#include "configs/field_list.h"
#include "tests/configs/example_config.h"

namespace phalanx {
namespace {

using testing::example_with;
using testing::example_yaml;
using testing::read;

std::string values_text(const RunConfig& run) {
  std::string text;
  for (const FieldValue& value : field_values(run)) text += value.path + "=" + value.value + "\n";
  return text;
}

TEST(ResolvedYaml, ReadsBackToTheSameValuesWithoutPresetFiles) {
  const std::vector<std::string> overrides = {"run.dir='a \"b\"\\c: #d'",
                                              "checkpoint.interval=90s",
                                              "checkpoint.keep_every=10B",
                                              "evaluation.interval=7 steps",
                                              "data.seed=18446744073709551615",
                                              "stages[0].learning_rate.schedule=constant",
                                              "stages[0].learning_rate.decay_steps=3",
                                              "optimizer.epsilon=1.2345678901234567e-9"};
  const ResolvedConfig first = read(example_yaml(), overrides);
  ConfigRequest elsewhere;
  elsewhere.file = "resolved.yaml";
  elsewhere.config_dir = "/nonexistent";
  const ResolvedConfig second = read_run_config_text(resolved_yaml(first), elsewhere);
  EXPECT_EQ(values_text(second.run), values_text(first.run));
  EXPECT_EQ(second.run.dir, "a \"b\"\\c: #d");
  EXPECT_EQ(second.run.data.seed, 18446744073709551615u);
  EXPECT_EQ(second.run.optimizer.epsilon, 1.2345678901234567e-9);
  EXPECT_EQ(second.run.checkpoint.interval_seconds, 90);
  EXPECT_EQ(second.run.checkpoint.keep_every, (Duration{Duration::Unit::kTokens, 10'000'000'000}));
  EXPECT_EQ(second.run.model.shape, first.run.model.shape);
  EXPECT_EQ(second.run.stages[0].phases[1].ramp_tokens, 2'000'000);
  EXPECT_EQ(second.run.stages[0].learning_rate.decay, (Duration{Duration::Unit::kSteps, 3}));
}

TEST(ResolvedYaml, KeepsTheListsOfAPreset) {
  const std::string mini = example_with("{preset: phi4-10m}", "{preset: phi4-mini}");
  const ResolvedConfig first = read(mini);
  ConfigRequest elsewhere;
  elsewhere.file = "resolved.yaml";
  elsewhere.config_dir = "/nonexistent";
  const ResolvedConfig second = read_run_config_text(resolved_yaml(first), elsewhere);
  EXPECT_EQ(second.run.model.shape, first.run.model.shape);
  ASSERT_EQ(second.run.model.shape.rope_long_factor.size(), 48u);
  EXPECT_EQ(second.run.model.shape.rope_long_factor[1], 1.118320672);
  EXPECT_EQ(compare_for_resume(resolved_yaml(first), second), std::vector<std::string>{});
}

TEST(ResolvedYaml, EachLineSaysWhereItsValueCameFrom) {
  const std::string text = resolved_yaml(read(example_yaml(), {"precision=fp32"}));
  for (const char* line :
       {"precision: fp32  # command line\n", "  seed: 1234  # run.yaml:5:9\n",
        "recompute: none  # default\n", "  hidden_size: 256  # preset phi4-10m:5:14\n",
        "      - name: foundation  # run.yaml:19:16\n",
        "          synthetic: rest  # run.yaml:19:"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "in\n" << text;
  }
}

TEST(ResolvedYaml, TheFieldListNamesEveryFieldOnce) {
  std::set<std::string> seen;
  for (const FieldDoc& doc : field_docs()) {
    EXPECT_TRUE(seen.insert(doc.path).second) << doc.path;
    EXPECT_FALSE(doc.doc.empty()) << doc.path;
    EXPECT_EQ(doc.accepts.empty(), doc.is_section) << doc.path;
  }
  for (const char* path : {"run.name", "model.vocab_size", "data.sources.<name>.max_epochs",
                           "data.groups.<name>.<name>", "stages[].phases[].mix.<name>",
                           "stages[].learning_rate.warmup_tokens", "optimizer.clip_grad_norm"}) {
    EXPECT_EQ(seen.count(path), 1u) << path;
  }
}

}  // namespace
}  // namespace phalanx
