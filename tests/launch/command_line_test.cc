// The program as people call it: exit codes, where text goes, help with an example each.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>

namespace {

struct Result {
  int exit_code = -1;
  std::string out;
  std::string err;
};

class CommandLine : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "phalanx-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// Runs the program in a folder that is not the project's, through the shell.
  Result run(const std::string& arguments) {
    const std::string errors = folder_ + "/stderr";
    const std::string command =
        "cd " + folder_ + " && " PHALANX_BINARY " " + arguments + " 2>" + errors;
    FILE* pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) throw std::runtime_error("popen");
    Result result;
    std::array<char, 4096> buffer;
    while (const std::size_t got = fread(buffer.data(), 1, buffer.size(), pipe)) {
      result.out.append(buffer.data(), got);
    }
    const int status = pclose(pipe);
    result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    std::stringstream text;
    text << std::ifstream(errors).rdbuf();
    result.err = text.str();
    return result;
  }

  std::string folder_;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string contents(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

void collect_keys(const nlohmann::json& value, std::set<std::string>& keys) {
  if (!value.is_structured()) return;
  for (const auto& item : value.items()) {
    if (value.is_object()) keys.insert(item.key());
    collect_keys(item.value(), keys);
  }
}

const std::string kQuickstart = PHALANX_SOURCE_DIR "/configs/quickstart.yaml";

TEST_F(CommandLine, OutputThatIsLostIsAnError) {
  for (const std::string& command : {"plan " + kQuickstart, std::string("data pack --help")}) {
    EXPECT_EQ(run(command).exit_code, 0);
    const Result lost = run(command + " > /dev/full");
    EXPECT_EQ(lost.exit_code, 2) << command;
    EXPECT_EQ(lost.err, "phalanx: error: cannot write standard output: No space left on device\n");
  }
}

TEST_F(CommandLine, PackRefusesWhatCannotBe) {
  const std::string pack = "data pack --tokenizer t --output o --kind organic ";
  EXPECT_TRUE(contains(run(pack).err, "--input is required"));
  EXPECT_EQ(run(pack).exit_code, 2);
  EXPECT_TRUE(contains(run(pack + "in --threads -3").err, "--threads"));
  EXPECT_EQ(run(pack + "in --threads -3").exit_code, 2);
  EXPECT_TRUE(contains(run(pack + "in --format csv").err, "--format"));
  const std::string help = run("data pack --help").out;
  for (const char* line : {"\n  inputs", "\n  --input"}) {
    const std::string rest = help.substr(help.find(line) + 1);
    EXPECT_FALSE(contains(rest.substr(0, rest.find('\n')), "REQUIRED")) << rest;
  }
}

TEST_F(CommandLine, PlanPrintsTheParametersOfPhi4OnALineOfTheirOwn) {
  const Result result = run("plan --model phi4-14b");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(contains("\n" + result.out, "\nparameters 14659507200\n")) << result.out;
  EXPECT_TRUE(contains(result.out, "\nhf_tensors 243\n")) << result.out;
}

TEST_F(CommandLine, PlanCountsTheShareOfARank) {
  const Result result = run("plan --model phi4-14b --ranks 16 --tensor-parallel-size 8");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  // 5 query and 2 key heads, 2,240 of the feed-forward and 12,544 of the vocabulary.
  const long long layer = 5120LL * 128 * (2 * 5 + 2 * 2) + 3LL * 5120 * 2240 + 2 * 5120;
  const long long share = 40 * layer + 5120 + 2LL * 12544 * 5120;
  EXPECT_TRUE(contains(result.out, "\nparameters_per_rank " + std::to_string(share) + "\n"))
      << share << " in\n"
      << result.out;
  EXPECT_TRUE(contains(result.out, "\ndata_parallel_size 2\n")) << result.out;
}

TEST_F(CommandLine, PlanOfARunTakesOverrides) {
  const Result result = run("plan " + kQuickstart + " parallel.tensor_parallel_size=2 --ranks 4");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(contains(result.out, "\ntensor_parallel_size 2\ndata_parallel_size 2\n"))
      << result.out;
}

TEST_F(CommandLine, APresetThatTheFileOverridesIsSaidAndNotTakenForTheModel) {
  const Result mine = run("plan " + kQuickstart);
  EXPECT_EQ(mine.err, "");
  for (const char* command : {"plan ", "config "}) {
    const Result result = run(command + kQuickstart + " model.preset=phi4-1b");
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_TRUE(result.err.starts_with(
        "note: model.preset=phi4-1b: the file's own fields win over the preset: vocab_size "))
        << result.err;
  }
  const Result plan = run("plan " + kQuickstart + " model.preset=phi4-1b");
  EXPECT_TRUE(contains(plan.out, "model quickstart (phi4-1b but for vocab_size, ")) << plan.out;
}

TEST_F(CommandLine, PlanOfARunCountsTheRowsOfEveryLength) {
  const std::string proxy = PHALANX_SOURCE_DIR "/configs/phi4-proxy-1b.yaml";
  const Result result = run("plan " + proxy + " --ranks 64");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(contains(result.out, "\nsequence_length 4096\nflops_per_token ")) << result.out;
  EXPECT_TRUE(contains(result.out, "\nflops_per_token_of_rows_of_16384 ")) << result.out;
  EXPECT_FALSE(contains(result.out, "of_rows_of_4096")) << result.out;
}

TEST_F(CommandLine, PlanOfAClusterIsMadeAnywhere) {
  const std::string phi4 =
      "plan --model phi4-14b --gpus 1920 --gpu h100 --global-batch-size 5760 --tokens 9.8T "
      "--search";
  const Result text = run(phi4);
  EXPECT_EQ(text.exit_code, 0) << text.err;
  for (const char* part :
       {"best: parallel.tensor_parallel_size=", "  not tp 3, 6, ", "\nparameters 14659507200\n",
        "activations by recompute mode: none", "reduce-scatter of gradients", " GPU-hours, MFU ",
        "run: 9.80T tokens in 41", "\ncheckpoint: 163.83 GiB in all",
        "\n  it fits up to 95 %, 75.05 GiB: allocators round up. 79.00 GiB is what the kind "
        "h100 "}) {
    EXPECT_TRUE(contains(text.out, part)) << part << " in\n" << text.out;
  }
  const Result json = run(phi4 + " --json");
  EXPECT_EQ(json.exit_code, 0) << json.err;
  for (const char* key : {"\"memory\"", "\"activations_by_recompute\"", "\"collectives\"",
                          "\"exposed_seconds\"", "\"days\"", "\"search\"", "\"refused\""}) {
    EXPECT_TRUE(contains(json.out, key)) << key;
  }
  EXPECT_TRUE(json.out.starts_with("{\n")) << json.out.substr(0, 80);
  std::set<std::string> keys;
  collect_keys(nlohmann::json::parse(json.out), keys);
  EXPECT_GT(keys.size(), 50u);
  const std::string readme = contents(PHALANX_SOURCE_DIR "/README.md");
  for (const std::string& key : keys) {
    EXPECT_TRUE(contains(readme, "`" + key) || contains(readme, "." + key + "[]`"))
        << "the README does not name the key " << key;
  }
}

TEST_F(CommandLine, PlanTakesKindsOfTheUsers) {
  std::ofstream(folder_ + "/more.yaml") << "gpus: {mine: {memory: 1GiB}}\n";
  const Result bad = run("plan --model phi4-10m --gpu mine --gpu-table more.yaml");
  EXPECT_EQ(bad.exit_code, 2);
  EXPECT_TRUE(contains(bad.err, "more.yaml:1:14: gpus.mine.bf16_tflops: missing")) << bad.err;
  const Result unknown = run("plan --model phi4-10m --gpu h300");
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_TRUE(contains(unknown.err, "--gpu: expected one of a100, b200, cpu, h100, h200, got"));
  const Result small = run("plan --model phi4-14b --gpu a100");
  EXPECT_TRUE(contains(small.out, "of 79.00 GiB: does not fit")) << small.out;
}

TEST_F(CommandLine, PlanRefusesAMeshThatDoesNotDivide) {
  const Result result = run("plan --model phi4-14b --tensor-parallel-size 3");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err,
            "phalanx: error: --tensor-parallel-size: expected a divisor of the 40 attention heads, "
            "got 3\n");
}

TEST_F(CommandLine, ConfigPrintsTheResolvedConfiguration) {
  const Result result = run("config " + kQuickstart + " optimizer.weight_decay=0");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(contains(result.out, "  weight_decay: 0  # command line\n")) << result.out;
  std::ofstream(folder_ + "/again.yaml") << result.out;
  EXPECT_EQ(run("config again.yaml").exit_code, 0);
}

TEST_F(CommandLine, ConfigExplainsAField) {
  const Result result = run("config --explain optimizer.beta1");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out,
            "optimizer.beta1: decay of the mean gradient\n"
            "    accepts  a number >= 0 and < 1\n"
            "    default  0.9\n"
            "    resume   fixed\n");
  EXPECT_GT(run("config --explain").out.size(), 20 * result.out.size());
  EXPECT_EQ(run("config --explain optimizer.beta3").err,
            "phalanx: error: --explain optimizer.beta3: unknown field; did you mean "
            "'optimizer.beta1'?\n");
}

TEST_F(CommandLine, BadInputEndsWithTwoAndOneMessageOnStderr) {
  const Result result = run("config " + kQuickstart + " optimizer.beta3=1");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err,
            "phalanx: error: command line: optimizer.beta3: unknown key; did you mean 'beta1'?\n");
}

TEST_F(CommandLine, AMissingFileEndsWithTwoAndItsPath) {
  const Result result = run("config nowhere.yaml");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err, "phalanx: error: cannot read nowhere.yaml: No such file or directory\n");
}

TEST_F(CommandLine, WrongArgumentsEndWithTwo) {
  for (const char* arguments : {"", "trian x.yaml", "plan --modle phi4-14b", "plan --ranks x",
                                "plan", "config", "plan --model phi5"}) {
    const Result result = run(arguments);
    EXPECT_EQ(result.exit_code, 2) << arguments;
    EXPECT_NE(result.err, "") << arguments;
    EXPECT_EQ(result.out, "") << arguments;
  }
}

TEST_F(CommandLine, AMistypedNameIsNamedWithTheNearestOne) {
  const std::pair<const char*, const char*> cases[] = {
      {"trian x.yaml",
       "expected a command, found 'trian'; did you mean 'train'? (see phalanx --help)"},
      {"data pakc x",
       "expected a command, found 'pakc'; did you mean 'pack'? (see phalanx data --help)"},
      {"train x.yaml --resum auto",
       "unknown option --resum; did you mean '--resume'? (see phalanx train --help)"},
      {"data batch x --step=0",
       "--step: expected a whole number from 1 on, found 0 (see phalanx data batch --help)"},
      {"plan x --ranks two",
       "--ranks: expected a whole number from 1 on, found two (see phalanx plan --help)"}};
  for (const auto& [arguments, message] : cases) {
    const Result result = run(arguments);
    EXPECT_EQ(result.exit_code, 2) << arguments;
    EXPECT_EQ(result.err, std::string("phalanx: error: ") + message + "\n");
  }
}

TEST_F(CommandLine, EveryCommandHasHelpWithAnExample) {
  const Result help = run("--help");
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_TRUE(contains(help.out, "Example")) << help.out;
  for (const std::string command : {"plan", "config"}) {
    EXPECT_TRUE(contains(help.out, "\n  " + command)) << help.out;
    const Result result = run(command + " --help");
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_TRUE(contains(result.out, "Example")) << result.out;
    EXPECT_TRUE(contains(result.out, "  phalanx " + command + " ")) << result.out;
  }
}

TEST_F(CommandLine, EveryDataCommandHasHelpWithAnExample) {
  const Result help = run("data --help");
  for (const std::string command : {"pack", "inspect", "mix", "batch"}) {
    EXPECT_TRUE(contains(help.out, "\n  " + command)) << help.out;
    const Result result = run("data " + command + " --help");
    EXPECT_EQ(result.exit_code, 0);
    const size_t example = result.out.find("Example");
    ASSERT_NE(example, std::string::npos) << result.out;
    EXPECT_TRUE(contains(result.out.substr(example), "  phalanx data " + command + " "));
  }
}

TEST_F(CommandLine, VersionIsPrinted) {
  const Result result = run("--version");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out.rfind("phalanx ", 0), 0u) << result.out;
}

TEST_F(CommandLine, AnInstalledTreeFindsItsPresetsFromAnyPath) {
  namespace fs = std::filesystem;
  const fs::path tree = fs::path(folder_) / "a tree";
  fs::create_directories(tree / "bin");
  fs::create_directories(tree / "share/phalanx/configs/model");
  fs::copy_file(PHALANX_BINARY, tree / "bin/phalanx");
  fs::copy_file(PHALANX_SOURCE_DIR "/configs/gpus.yaml", tree / "share/phalanx/configs/gpus.yaml");
  fs::copy_file(PHALANX_SOURCE_DIR "/configs/model/phi4-10m.yaml",
                tree / "share/phalanx/configs/model/only-here.yaml");
  const std::string command =
      "'" + (tree / "bin/phalanx").string() + "' plan --model only-here >" + folder_ + "/out 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0);
  std::stringstream text;
  text << std::ifstream(folder_ + "/out").rdbuf();
  EXPECT_TRUE(contains(text.str(), "\nparameters 10161920\n")) << text.str();
}

}  // namespace
