#include "launch/commands/experiment.h"

#include <fmt/format.h>
#include <sched.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <optional>
#include <stdexcept>

#include "data/file.h"
#include "data/file_lock.h"
#include "launch/command_errors.h"
#include "launch/experiment/experiment_results.h"
#include "launch/experiment/experiment_runner.h"
#include "launch/experiment/slurm_array.h"
#include "launch/install_paths.h"
#include "launch/report/report_page.h"
#include "parallel/exit_codes.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

struct ExperimentArguments {
  std::string file;
  std::optional<int64_t> only;
  bool list = false, slurm_array = false, report_only = false;
};

/// What the other functions work on.
struct Experiment {
  ExperimentConfig config;
  std::vector<ExperimentRun> runs;
  ExperimentPlace place;
};

std::vector<int> own_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return {0};
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(static_cast<size_t>(core), &set)) cores.push_back(core);
  }
  return cores;
}

std::string word_of(const ExperimentRunState& state) {
  switch (state.progress) {
    case RunProgress::kNotBegun:
      return "not begun";
    case RunProgress::kBegun:
      return "begun";
    case RunProgress::kDone:
      return "done";
    case RunProgress::kOther:
      return state.problem;
  }
  return "";
}

void list_runs(const Experiment& experiment) {
  for (size_t i = 0; i < experiment.runs.size(); ++i) {
    const ExperimentRun& run = experiment.runs[i];
    std::printf("%4zu  %-32s %s\n", i, run.name.c_str(),
                word_of(state_of(experiment.place, run)).c_str());
  }
}

void write_results(const Experiment& experiment,
                   const std::vector<ExperimentRunOutcome>& outcomes = {}) {
  std::map<std::string, std::string> reasons;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    reasons[experiment.runs[i].name] = outcomes[i].reason;
  }
  const ReportData data =
      gather_experiment(experiment.config, experiment.runs, experiment.place, reasons);
  make_folders(experiment.place.folder);
  const fs::path csv = experiment.place.folder / "results.csv";
  const fs::path page = experiment.place.folder / "report.html";
  commit_file(csv, results_csv(data));
  commit_file(page, report_page(data));
  std::printf("%s\nresults  %s\nreport   %s\n", comparison_text(data).c_str(), csv.c_str(),
              page.c_str());
}

/// 0, 75 if runs were stopped, 2 if any failed.
int code_of(const std::vector<ExperimentRunOutcome>& outcomes, const std::vector<size_t>& chosen) {
  bool failed = false, open = false;
  for (const size_t i : chosen) {
    failed |= outcomes[i].end == ExperimentRunEnd::kFailed;
    open |= outcomes[i].end == ExperimentRunEnd::kStopped ||
            outcomes[i].end == ExperimentRunEnd::kNotStarted;
  }
  if (open) return static_cast<int>(ExitCode::kStopped);
  return failed ? static_cast<int>(ExitCode::kBadInput) : 0;
}

/// One run of a job array: in the place that the scheduler gave it, with the exit code of the run.
int run_one(const Experiment& experiment, int64_t index) {
  const auto count = static_cast<int64_t>(experiment.runs.size());
  if (index >= count) {
    throw std::invalid_argument(
        fmt::format("--only: expected a run from 0 to {}, found {}", count - 1, index));
  }
  ExperimentRunner runner(experiment.config, experiment.runs, experiment.place, {RunSlot{}});
  const auto i = static_cast<size_t>(index);
  const ExperimentRunOutcome outcome = runner.run({i})[i];
  if (outcome.end == ExperimentRunEnd::kNotStarted) return static_cast<int>(ExitCode::kStopped);
  if (outcome.end == ExperimentRunEnd::kFailed && outcome.exit_code == 0) {
    return static_cast<int>(ExitCode::kBadInput);
  }
  return outcome.exit_code;
}

int run_all(const Experiment& experiment) {
  const char* gpus = std::getenv("CUDA_VISIBLE_DEVICES");
  const ExperimentConfig& config = experiment.config;
  const std::vector<RunSlot> slots =
      make_slots({config.parallel, config.cores_per_run, config.gpus_per_run}, own_cores(),
                 gpus == nullptr ? "" : gpus);
  make_folders(experiment.place.folder);
  const auto lock = FileLock::try_exclude(experiment.place.folder / "lock");
  if (!lock) {
    throw std::invalid_argument(
        fmt::format("{}: another process runs this experiment", experiment.place.folder.string()));
  }
  ExperimentRunner runner(config, experiment.runs, experiment.place, slots);
  std::vector<size_t> chosen(experiment.runs.size());
  std::iota(chosen.begin(), chosen.end(), size_t{0});
  const std::vector<ExperimentRunOutcome> outcomes = runner.run(chosen);
  write_results(experiment, outcomes);
  return code_of(outcomes, chosen);
}

int run_experiment(const ExperimentArguments& arguments) {
  Experiment experiment;
  experiment.config = read_experiment(arguments.file);
  experiment.runs = experiment_runs(experiment.config, find_config_dir());
  experiment.place.folder = fs::path(experiment.config.dir) / experiment.config.name;
  if (arguments.list) {
    list_runs(experiment);
  } else if (arguments.slurm_array) {
    const std::string program = fs::read_symlink("/proc/self/exe").string();
    std::fputs(slurm_array_script(experiment.config, experiment.runs.size(), program).c_str(),
               stdout);
  } else if (arguments.report_only) {
    write_results(experiment);
  } else if (arguments.only) {
    return run_one(experiment, *arguments.only);
  } else {
    return run_all(experiment);
  }
  return 0;
}

}  // namespace

void add_experiment_command(CLI::App& app) {
  auto arguments = std::make_shared<ExperimentArguments>();
  CLI::App* command = app.add_subcommand(
      "experiment", "Train a grid or list of runs of one configuration, and compare them");
  command->footer(
      "Examples:\n"
      "  phalanx experiment configs/experiments/curricula.yaml\n"
      "  phalanx experiment my/grid.yaml --slurm-array > array.sh && sbatch array.sh\n"
      "Ends with results.csv and report.html in the experiment's folder. A run that fails is "
      "named\n"
      "and the rest goes on (exit code 2 at the end). SIGTERM, SIGINT or SIGUSR1: the runs under\n"
      "way save and stop (75). After that, or a kill at any moment, the same command goes on: "
      "what\n"
      "is done is known from the runs' folders.");
  command->add_option("file", arguments->file, "YAML file of an experiment")->required();
  auto* list = command->add_flag("--list", arguments->list, "Show the runs, and train nothing");
  auto* slurm = command->add_flag("--slurm-array", arguments->slurm_array,
                                  "Print a script for sbatch with one task a run");
  auto* report =
      command->add_flag("--report-only", arguments->report_only, "Only write results and report");
  auto* only = command->add_option("--only", arguments->only,
                                   "Train one run, by its number in --list, as a job array does");
  only->check(at_least(0));
  list->excludes(slurm)->excludes(report)->excludes(only);
  slurm->excludes(report)->excludes(only);
  report->excludes(only);
  command->callback([arguments] {
    const int code = run_experiment(*arguments);
    if (code != 0) throw CLI::RuntimeError(code);
  });
}

}  // namespace phalanx
