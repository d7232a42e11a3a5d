#include "launch/commands/runs.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "launch/run_list.h"

namespace phalanx {
namespace {

struct RunsArguments {
  std::string folder = "runs";
  bool json = false;
};

void print_runs(const RunsArguments& arguments) {
  const std::vector<ListedRun> runs = list_runs(arguments.folder);
  if (runs.empty()) {
    fmt::print(stderr, "no run in {}\n", arguments.folder);
  } else if (arguments.json) {
    for (const ListedRun& run : runs) fmt::print("{}\n", run_list_json(run));
  } else {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    fmt::print("{}", run_list_text(runs, std::chrono::duration<double>(now).count()));
  }
}

}  // namespace

void add_runs_command(CLI::App& app) {
  auto arguments = std::make_shared<RunsArguments>();
  CLI::App* command = app.add_subcommand(
      "runs", "List the runs of a folder: state, progress, last loss, why ended");
  command->footer(
      "Examples:\n"
      "  phalanx runs\n"
      "  phalanx runs /data/runs --json\n"
      "States: running (its lock is held), finished, stopped (on request, saved), failed (it said\n"
      "why), killed (it could not), unknown.");
  command->add_option("folder", arguments->folder, "Folder of runs, or the folder of one")
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "One line of JSON for each run");
  command->callback([arguments] { print_runs(*arguments); });
}

}  // namespace phalanx
