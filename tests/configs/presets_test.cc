// The models of configs/model: their counts, and how a run starts from one.
#include <gtest/gtest.h>

#include "configs/field_list.h"
#include "tests/configs/example_config.h"

namespace phalanx {
namespace {

using testing::error_of;
using testing::example_with;
using testing::example_yaml;
using testing::read;

const char* const kConfigDir = PHALANX_SOURCE_DIR "/configs";

TEST(Presets, Phi4HasExactlyThePublishedParametersAndTensors) {
  const Phi4Config shape = read_preset(kConfigDir, "phi4-14b");
  EXPECT_EQ(num_parameters(shape), 14'659'507'200);
  EXPECT_EQ(num_hf_tensors(shape), 243);
  EXPECT_EQ(shape, Phi4Config{});
}

TEST(Presets, SizesAreThoseTheirCommentsState) {
  const auto count = [](const char* name) { return num_parameters(read_preset(kConfigDir, name)); };
  EXPECT_EQ(count("phi4-mini"), 3'836'021'760);
  EXPECT_EQ(count("phi3-mini"), 3'821'079'552);
  EXPECT_EQ(count("phi3-medium"), 13'960'238'080);
  EXPECT_EQ(count("phi4-7b"), 6'929'223'680);
  EXPECT_EQ(count("phi4-1b"), 1'283'524'608);
  EXPECT_EQ(count("phi4-100m"), 101'732'864);
  EXPECT_EQ(count("phi4-10m"), 10'161'920);
}

TEST(Presets, ProxiesHavePhi4sRatios) {
  for (const char* name : {"phi4-7b", "phi4-1b", "phi4-100m", "phi4-10m"}) {
    const Phi4Config shape = read_preset(kConfigDir, name);
    EXPECT_EQ(shape.num_attention_heads, 4 * shape.num_key_value_heads) << name;
    EXPECT_EQ(2 * shape.intermediate_size, 7 * shape.hidden_size) << name;
    EXPECT_EQ(shape.query_size(), shape.hidden_size) << name;
  }
}

TEST(Presets, FieldsOfTheRunWinOverThePreset) {
  const std::string text =
      example_with("{preset: phi4-10m}", "{preset: phi4-10m, num_hidden_layers: 3, seed: 9}");
  const ResolvedConfig config = read(text, {"model.vocab_size=1000"});
  EXPECT_EQ(config.run.model.preset, "phi4-10m");
  EXPECT_EQ(config.run.model.shape.num_hidden_layers, 3);
  EXPECT_EQ(config.run.model.shape.vocab_size, 1000);
  EXPECT_EQ(config.run.model.shape.hidden_size, 256);
  EXPECT_EQ(config.run.model.seed, 9u);
  EXPECT_EQ(config.origin_text("model.num_hidden_layers"), "run.yaml:2:46");
  EXPECT_EQ(config.origin_text("model.vocab_size"), "command line");
  EXPECT_EQ(config.origin_text("model.hidden_size").rfind("preset phi4-10m:", 0), 0u);
}

TEST(Presets, APresetCanComeFromTheCommandLine) {
  const RunConfig run = read(example_yaml(), {"model.preset=phi4-100m"}).run;
  EXPECT_EQ(run.model.shape.hidden_size, 512);
}

TEST(Presets, FieldsOfTheFileThatWinOverAPresetOfTheCommandLineAreNamed) {
  const std::string text =
      example_with("{preset: phi4-10m}", "{preset: phi4-10m, num_hidden_layers: 3}");
  EXPECT_EQ(read(text).preset_note(), "") << "both stand in the file";
  EXPECT_EQ(read(text, {"model.vocab_size=1000"}).preset_note(), "")
      << "what is given last is meant";
  EXPECT_EQ(read(text, {"model.preset=phi4-1b", "model.vocab_size=1000"}).preset_note(),
            "note: model.preset=phi4-1b: the file's own fields win over the preset: "
            "num_hidden_layers 3 (preset: 16)\n");
  EXPECT_EQ(read(text, {"model.preset=phi4-1b", "model.vocab_size=1000"}).preset_differences.size(),
            2u);
}

TEST(Presets, APresetOfTheCommandLineIsComparedWithAWholeStoredConfigurationToo) {
  const std::string stored = resolved_yaml(read(example_yaml()));
  EXPECT_EQ(read(stored).preset_differences.size(), 0u);
  const ResolvedConfig config = read(stored, {"model.preset=phi4-100m"});
  EXPECT_EQ(config.run.model.shape.hidden_size, 256);
  EXPECT_NE(config.preset_note().find(" hidden_size 256 (preset: 512)"), std::string::npos)
      << config.preset_note();
}

TEST(Presets, WithoutOneTheFieldsAreRequiredAndTheHeadWidthFollows) {
  const std::string fields =
      "{vocab_size: 100, hidden_size: 64, intermediate_size: 96, num_hidden_layers: 2, "
      "num_attention_heads: 4, num_key_value_heads: 2}";
  const RunConfig run = read(example_with("{preset: phi4-10m}", fields)).run;
  EXPECT_EQ(run.model.shape.head_dim, 16);
  EXPECT_EQ(run.model.preset, "");
  EXPECT_EQ(error_of(example_with("{preset: phi4-10m}", fields.substr(0, fields.rfind(',')) + "}")),
            "run.yaml:2:8: model.num_key_value_heads: missing; expected a whole number >= 1 "
            "without a unit");
}

TEST(Presets, UnknownNameListsAllAndTheNearest) {
  EXPECT_EQ(error_of(example_with("phi4-10m", "phi4-11m")),
            "run.yaml:2:17: model.preset: expected one of phi3-medium, phi3-mini, phi4-100m, "
            "phi4-10m, phi4-14b, phi4-1b, "
            "phi4-7b, phi4-mini, got 'phi4-11m'; did you mean 'phi4-10m'?");
  EXPECT_NE(error_of(example_with("phi4-10m", "../model/phi4-10m")).find("expected one of"),
            std::string::npos);
  EXPECT_THROW(read_preset(kConfigDir, "phi5"), std::invalid_argument);
}

TEST(Presets, OtherFamiliesHaveThePublishedPositions) {
  const Phi4Config mini = read_preset(kConfigDir, "phi4-mini");
  EXPECT_EQ(mini.rotary_dim(), 96);
  EXPECT_EQ(mini.rope_scaling, RopeScaling::kLongRope);
  EXPECT_EQ(mini.rope_short_factor, std::vector<double>(48, 1.0));
  EXPECT_EQ(mini.rope_long_factor.size(), 48u);
  EXPECT_EQ(mini.max_position_embeddings, 32 * mini.original_max_position_embeddings);
  EXPECT_FALSE(mini.is_windowed(mini.max_position_embeddings));
  for (const char* name : {"phi3-mini", "phi3-medium"}) {
    const Phi4Config shape = read_preset(kConfigDir, name);
    EXPECT_TRUE(shape.is_windowed(2048)) << name;
    EXPECT_FALSE(shape.is_windowed(2047)) << name;
  }
}

TEST(Presets, FactorsMustFitTheRotatedPairs) {
  EXPECT_NE(
      error_of(example_with("{preset: phi4-10m}", "{preset: phi4-mini, rope_short_factor: [1, 2]}"))
          .find("model.rope_short_factor: expected 48 numbers"),
      std::string::npos);
}

}  // namespace
}  // namespace phalanx
