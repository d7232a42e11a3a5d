#include "launch/commands/score.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "launch/commands/json_line.h"
#include "launch/model_place.h"
#include "trainer/scorer.h"

namespace phalanx {
namespace {

struct ScoreArguments {
  std::string model;
  std::string dtype = "fp32";
  bool jsonl = false;  // the only form that there is
};

/// The first token has nothing before it to be judged by. A float's shortest text reads back to it.
std::string answer(const std::vector<int32_t>& ids, const std::vector<float>& values) {
  std::string line = ids.empty() ? "[" : "[null";
  for (const float value : values) line += fmt::format(",{}", value);
  return line + "]\n";
}

void run_score(const ScoreArguments& arguments) {
  ModelPlace place = open_model(arguments.model);
  const Scorer scorer(*place.source, place.config,
                      arguments.dtype == "bf16" ? at::kBFloat16 : at::kFloat);
  score_lines(scorer, std::cin, std::cout);
}

}  // namespace

void score_lines(const Scorer& scorer, std::istream& in, std::ostream& out) {
  std::string line;
  for (size_t number = 1; std::getline(in, line); ++number) {
    const std::string place = fmt::format("standard input: line {}", number);
    const std::vector<int32_t> ids = read_ids(parse_line(line, place), scorer.vocab_size(), place);
    std::vector<float> values;
    try {
      values = scorer.log_probabilities(ids);
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument(fmt::format("{}: {}", place, error.what()));
    }
    write_at_once(out, answer(ids, values));
  }
  check_read(in);
}

void add_score_command(CLI::App& app) {
  auto arguments = std::make_shared<ScoreArguments>();
  CLI::App* command = app.add_subcommand("score", "Log-probabilities that a model gives to tokens");
  command->footer(
      "Example:\n"
      "  echo '[464, 2068, 7586]' | phalanx score checkpoints/phi-4 --jsonl\n"
      "answers with an array of the same length: null, then the natural logarithm of each token's\n"
      "probability after those before it. Each line is answered at once, so that a script may "
      "keep\n"
      "the program open and ask on.");
  command
      ->add_option("model", arguments->model,
                   "A Hugging Face folder or a checkpoint, imported or of a run")
      ->required();
  command
      ->add_flag("--jsonl", arguments->jsonl,
                 "An array of ids a line to an array of numbers a line")
      ->required();
  command->add_option("--dtype", arguments->dtype, "Of weights and products")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  command->callback([arguments] { run_score(*arguments); });
}

}  // namespace phalanx
