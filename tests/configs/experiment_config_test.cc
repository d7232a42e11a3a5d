// Experiment files: which runs they mean, and what is refused, with its place.
#include "configs/experiment_config.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "configs/field_list.h"

namespace phalanx {
namespace {

const std::string kConfigs = PHALANX_SOURCE_DIR "/configs";

class ExperimentFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "phalanx-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    file_ = folder_ + "/grid.yaml";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::vector<ExperimentRun> runs(const std::string& text) {
    std::ofstream(file_) << "name: grid\nbase: " << kConfigs << "/quickstart.yaml\n" << text;
    return experiment_runs(read_experiment(file_), kConfigs);
  }
  std::vector<std::string> names(const std::string& text) {
    std::vector<std::string> found;
    for (const ExperimentRun& run : runs(text)) found.push_back(run.name);
    return found;
  }
  /// With the file's own path left out.
  std::string error_of(const std::string& text) {
    try {
      (void)runs(text);
    } catch (const std::invalid_argument& error) {
      std::string message = error.what();
      for (size_t at; (at = message.find(folder_ + "/")) != std::string::npos;) {
        message.erase(at, folder_.size() + 1);
      }
      return message;
    }
    return "";
  }

  std::string folder_, file_;
};

std::string value_of(const ExperimentRun& run, const std::string& path) {
  for (const FieldValue& field : field_values(run.config.run)) {
    if (field.path == path) return field.value;
  }
  return "none";
}

TEST_F(ExperimentFile, RunsTimesGridTimesSeeds) {
  EXPECT_EQ(names("runs: [{name: a, set: [optimizer.beta1=0.8]}, {name: b}]\n"
                  "grid:\n"
                  "  - {field: optimizer.weight_decay, label: wd, values: [0.1, 0.01]}\n"
                  "seeds: [1, 7]\n"),
            (std::vector<std::string>{"a-wd-0.1-seed-1", "a-wd-0.1-seed-7", "a-wd-0.01-seed-1",
                                      "a-wd-0.01-seed-7", "b-wd-0.1-seed-1", "b-wd-0.1-seed-7",
                                      "b-wd-0.01-seed-1", "b-wd-0.01-seed-7"}));
  EXPECT_EQ(
      names("grid:\n"
            "  - field: stages[0].phases[1].mix\n"
            "    values: ['{problems: 0.1, organic: rest}', '{problems: 0.2, organic: rest}']\n"
            "    names: [few, more]\n"
            "  - {field: model.hidden_size, values: [64, 128]}\n"),
      (std::vector<std::string>{"few-hidden_size-64", "few-hidden_size-128", "more-hidden_size-64",
                                "more-hidden_size-128"}));
  EXPECT_EQ(names("seeds: [3]\n"), (std::vector<std::string>{"grid-seed-3"}));
}

TEST_F(ExperimentFile, OverridesReachTheConfiguration) {
  const std::vector<ExperimentRun> found = runs(
      "set: [optimizer.beta1=0.8, optimizer.beta2=0.9]\n"
      "runs: [{name: a, set: [optimizer.beta2=0.7]}]\n"
      "grid: [{field: optimizer.weight_decay, values: [1e-2]}]\n"
      "seeds: [7]\n");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(value_of(found[0], "optimizer.beta1"), "0.8");
  EXPECT_EQ(value_of(found[0], "optimizer.beta2"), "0.7");
  EXPECT_EQ(value_of(found[0], "optimizer.weight_decay"), "0.01");
  EXPECT_EQ(value_of(found[0], "model.seed"), "7");
  EXPECT_EQ(value_of(found[0], "data.seed"), "7");
  EXPECT_EQ(value_of(found[0], "run.dir"), "runs/grid");
  EXPECT_EQ(found[0].variant, "a-weight_decay-1e-2");
}

TEST_F(ExperimentFile, UnknownKeysAreNamedWithTheNearest) {
  EXPECT_EQ(error_of("seed: [1]\nparalel: 2\n"),
            "grid.yaml:3:1: seed: unknown key; did you mean 'seeds'?\n"
            "grid.yaml:4:1: paralel: unknown key; did you mean 'parallel'?");
  EXPECT_EQ(error_of("parallel: 2\n"),
            "grid.yaml: expected runs, grid or seeds, found none: there is nothing to do");
}

TEST_F(ExperimentFile, OverridesAreCheckedBeforeAnythingRuns) {
  EXPECT_EQ(error_of("runs:\n  - {name: a, set: [optimizer.beta3=0.8]}\n"
                     "  - {name: b, set: [optimizer.beta1=2]}\nseeds: [1, 2]\n"),
            "grid.yaml:4:5: runs[0]: optimizer.beta3: unknown key; did you mean 'beta1'?\n"
            "grid.yaml:5:5: runs[1]: optimizer.beta1: expected a number >= 0 and < 1, got '2'");
}

TEST_F(ExperimentFile, AnOverrideOfAllRunsIsNamedOnce) {
  EXPECT_EQ(error_of("set: [optimizer.beta1=2]\nruns: [{name: a}, {name: b}]\n"),
            "grid.yaml:3:6: set: optimizer.beta1: expected a number >= 0 and < 1, got '2'");
  EXPECT_EQ(error_of("grid: [{field: optimizer.bta1, values: [0.5, 0.6]}]\n"),
            "grid.yaml:3:8: grid[0]: optimizer.bta1: unknown key; did you mean 'beta1'?");
}

TEST_F(ExperimentFile, ListsAndNames) {
  EXPECT_EQ(error_of("runs: [{name: a}, {name: a}]\n"),
            "grid.yaml: expected runs of different names, got two of the name 'a'");
  EXPECT_EQ(error_of("runs: [{name: early}]\nbaseline: erly\n"),
            "grid.yaml:4:11: baseline: expected one of early, got 'erly'; did you mean 'early'?");
  EXPECT_EQ(error_of("seeds: [1, 1]\n"),
            "grid.yaml:3:8: seeds: expected each seed once, got one twice");
  EXPECT_EQ(error_of("grid: [{field: model.seed, values: [1, 2], names: [a]}]\n"),
            "grid.yaml:3:51: grid[0].names: expected 2 names, one a value, got 1");
  EXPECT_NE(error_of("seeds: 3\n").find("expected a list of whole numbers, got '3'"),
            std::string::npos);
  EXPECT_NE(error_of("set: [{a: 1}]\n").find("each a text in quotes, got a section"),
            std::string::npos);
}

TEST_F(ExperimentFile, AnErrorOfTheBaseIsSaidOnce) {
  const std::string base = folder_ + "/base.yaml";
  std::ofstream(base) << "run: {name: x}\nnonsense: 1\n";
  std::ofstream(file_) << "name: grid\nbase: " << base << "\nseeds: [1, 2, 3]\n";
  std::string message;
  try {
    (void)experiment_runs(read_experiment(file_), kConfigs);
  } catch (const std::invalid_argument& error) {
    message = error.what();
  }
  const size_t first = message.find("nonsense: unknown key");
  EXPECT_NE(first, std::string::npos) << message;
  EXPECT_EQ(message.find("nonsense", first + 1), std::string::npos) << message;
}

TEST(ShippedExperiment, Reads) {
  const ExperimentConfig experiment = read_experiment(kConfigs + "/experiments/curricula.yaml");
  ExperimentConfig from_here = experiment;
  from_here.base = kConfigs + "/quickstart.yaml";
  const std::vector<ExperimentRun> runs = experiment_runs(from_here, kConfigs);
  EXPECT_EQ(runs.size(), 9u);
  const int64_t parameters = num_parameters(runs[0].config.run.model.shape);
  EXPECT_GT(parameters, 2'700'000);
  EXPECT_LT(parameters, 3'300'000);
}

}  // namespace
}  // namespace phalanx
