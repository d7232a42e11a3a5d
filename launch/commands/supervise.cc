#include "launch/commands/supervise.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "configs/read_config.h"
#include "launch/command_errors.h"
#include "launch/install_paths.h"
#include "launch/supervisor.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

struct SuperviseArguments {
  std::vector<std::string> command;
  std::string run;
  RestartRules rules;
};

/// The words behind `phalanx train` in a command; nothing if it runs something else, a script say.
std::optional<std::vector<std::string>> train_words(const std::vector<std::string>& command) {
  const auto train = std::find(command.begin(), command.end(), "train");
  if (train == command.begin() || train == command.end()) return std::nullopt;
  if (fs::path(*std::prev(train)).filename() != "phalanx") return std::nullopt;
  return std::vector<std::string>(std::next(train), command.end());
}

void check_resumes(const std::vector<std::string>& words) {
  const auto resume = std::find(words.begin(), words.end(), "--resume");
  const bool is_auto =
      resume != words.end() && std::next(resume) != words.end() && *std::next(resume) == "auto";
  if (is_auto || std::find(words.begin(), words.end(), "--resume=auto") != words.end()) return;
  throw std::invalid_argument(
      "supervise: expected --resume auto in the command, found none: a restart would begin anew");
}

/// Of `train`'s options: does a value follow?
bool takes_value(std::string_view option) {
  constexpr std::string_view kOptions[] = {"--resume",   "--skip-steps", "--profile",
                                           "--launcher", "--ranks",      "--gpus"};
  return std::find(std::begin(kOptions), std::end(kOptions), option) != std::end(kOptions);
}

fs::path run_folder_of(const std::vector<std::string>& words) {
  ConfigRequest request;
  request.config_dir = find_config_dir();
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word.starts_with("-")) {
      i += takes_value(word) ? 1 : 0;
    } else if (request.file.empty()) {
      request.file = word;
    } else {
      request.overrides.push_back(word);
    }
  }
  const ResolvedConfig config = read_run_config(request);
  return fs::path(config.run.dir) / config.run.name;
}

fs::path find_run(const SuperviseArguments& arguments) {
  const auto words = train_words(arguments.command);
  if (words) check_resumes(*words);
  if (!arguments.run.empty()) return arguments.run;
  if (!words) {
    throw std::invalid_argument(
        "supervise: expected --run FOLDER, since the command shows no `phalanx train CONFIG` that "
        "would say which run it is");
  }
  return run_folder_of(*words);
}

}  // namespace

void add_supervise_command(CLI::App& app) {
  auto arguments = std::make_shared<SuperviseArguments>();
  CLI::App* command =
      app.add_subcommand("supervise", "Run a training command, and again when it dies or hangs");
  command->footer(
      "Example:\n"
      "  phalanx supervise -- mpirun -np 4 -q phalanx train run.yaml --resume auto\n"
      "Restarted are exit codes 1, 69, 76 and those of signals (137, 139, ...); not 0, 2, 16, 75,\n"
      "77, 78.\n"
      "SIGUSR1: the training saves and stops, and is not restarted. RUN/supervisor.jsonl has a "
      "line "
      "for each attempt.");
  command->add_option("command", arguments->command, "The command and its arguments, after --")
      ->required();
  command->add_option("--run", arguments->run,
                      "The run's folder; not needed where the command shows phalanx train CONFIG");
  command
      ->add_option("--max-failures", arguments->rules.max_failures,
                   "Give up after so many failures in a row without a new checkpoint")
      ->check(at_least(1))
      ->capture_default_str();
  command
      ->add_option("--max-restarts", arguments->rules.max_restarts,
                   "Give up after so many restarts; not set: never")
      ->check(at_least(1));
  command->add_flag("--restart-stopped", arguments->rules.restart_stopped,
                    "Also after exit code 75, as when a wall-clock limit stopped the run");
  command->callback([arguments] {
    const int code = Supervisor(arguments->command, find_run(*arguments), arguments->rules).run();
    if (code != 0) throw CLI::RuntimeError(code);
  });
}

}  // namespace phalanx
