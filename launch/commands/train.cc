#include "launch/commands/train.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>

#include "launch/command_errors.h"
#include "launch/cores.h"
#include "launch/counted.h"
#include "launch/cuda_settings.h"
#include "launch/descriptor_limit.h"
#include "launch/environment.h"
#include "launch/install_paths.h"
#include "launch/speak_once.h"
#include "launch/train_run.h"
#include "parallel/agreement.h"
#include "parallel/host_name.h"
#include "trainer/host_heap.h"

namespace phalanx {
namespace {

/// The configured threads, else OMP_NUM_THREADS, else this rank's part of the cores it may use.
/// Collective.
void set_threads(const RunConfig& config, Session& session) {
  const int cores = available_cores();
  const std::string mine = host_name() + " " + core_set();
  const std::vector<std::string> all = all_gather_strings(session.control(), mine);
  int threads = static_cast<int>(config.parallel.threads_per_rank);
  if (threads == 0 && environment("OMP_NUM_THREADS")) threads = at::get_num_threads();
  if (threads == 0) threads = share_of_cores(cores, mine, all);
  at::set_num_threads(threads);
  if (threads > cores && session.rank() == 0) {
    std::fprintf(stderr,
                 "warning: %d threads a rank, but the launcher binds a rank to %s; with Open MPI: "
                 "mpirun --bind-to none\n",
                 threads, counted(cores, "core").c_str());
  }
}

/// When this process began, its libraries not yet loaded: what a limit of time counts from.
std::chrono::steady_clock::time_point process_start() {
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  std::istringstream fields(text.substr(text.rfind(')') + 1));
  std::string field;
  double ticks = 0;
  for (int i = 3; i < 22; ++i) fields >> field;  // proc(5): the start is field 22
  fields >> ticks;
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  const double age =
      double(now.tv_sec) + double(now.tv_nsec) * 1e-9 - ticks / double(sysconf(_SC_CLK_TCK));
  using Clock = std::chrono::steady_clock;
  if (!fields || age < 0) return Clock::now();
  return Clock::now() -
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(age));
}

/// `12` or `12-14`: steps as metrics.jsonl counts them.
CLI::Validator trace_steps(TraceSteps& steps) {
  return CLI::Validator(
      [&steps](const std::string& text) -> std::string {
        const char* const end = text.data() + text.size();
        std::from_chars_result read = std::from_chars(text.data(), end, steps.first);
        steps.last = steps.first;
        if (read.ec == std::errc() && read.ptr != end && *read.ptr == '-') {
          read = std::from_chars(read.ptr + 1, end, steps.last);
        }
        const bool good = read.ec == std::errc() && read.ptr == end;
        if (good && steps.first >= 1 && steps.last >= steps.first) return {};
        return fmt::format("expected a step or a range of steps from 1, as 12 or 12-14, found '{}'",
                           text);
      },
      "STEPS");
}

/// The configuration, and why it could not be read: said once MPI is there, on one rank.
struct FirstReading {
  std::optional<ResolvedConfig> config;
  std::exception_ptr failure;
};

FirstReading read_alone(ConfigRequest& request) {
  FirstReading reading;
  try {
    request.config_dir = find_config_dir();
    reading.config = read_run_config(request);
  } catch (const std::exception&) {
    reading.failure = std::current_exception();
  }
  return reading;
}

ExitCode train_on_session(TrainArguments& arguments, const FirstReading& first,
                          const TrainProcess& process) {
  Session& session = process.session;
  HangGuard& guard = process.hang_guard;
  guard.meet(session);
  const ResolvedConfig config = together(session.control(), [&] {
    if (first.failure) std::rethrow_exception(first.failure);
    if (arguments.planned_ranks == 0) arguments.planned_ranks = session.size();
    arguments.request.num_ranks = arguments.planned_ranks;
    return read_run_config(arguments.request);
  });
  if (session.rank() == 0) std::fputs(config.preset_note().c_str(), stderr);
  guard.set_limits(config.run.watchdog.limits);
  set_threads(config.run, session);
  const bool cuda = config.run.parallel.device == DeviceKind::kCuda;
  // Whatever this rank's configuration says: that it is the others' is compared only later.
  const bool same_bits = config.run.reproducible != Reproducible::kOff;
  run_together(session.control(), [&] {
    if (cuda && same_bits) fix_library_sums();
  });
  if (cuda) {
    prepare_cuda(same_bits);
  } else if (arguments.trace.first > 0) {
    prepare_cpu_trace();
  }
  const bool stopped = train_run(arguments, config, process);
  session.control().barrier();
  return stopped ? ExitCode::kStopped : ExitCode::kDone;
}

ExitCode train(TrainArguments& arguments) {
  // Whoever reads the lines may leave; the training goes on, and says at its end that they were
  // lost.
  std::signal(SIGPIPE, SIG_IGN);
  StopSignals signals;
  raise_descriptor_limit();
  arguments.started = process_start();
  map_tensors_one_by_one();
  const FirstReading first = read_alone(arguments.request);
  // Without a configuration any session will do that lets the ranks agree on the message.
  const bool cuda = !first.config || first.config->run.parallel.device == DeviceKind::kCuda;
  HangGuard guard;
  SessionOptions options;
  options.device = cuda ? Device::kCuda : Device::kCpu;
  options.recorder = &guard.recorder();
  options.launcher = launcher_choice(arguments.launcher);
  Session session = open_session(environment, options);
  RunEndNote end_note;
  return speak_once(session, [&] {
    try {
      return train_on_session(arguments, first, {session, signals, guard, end_note});
    } catch (const std::exception& error) {
      end_note.write_failure(error);
      throw;
    }
  });
}

void add_output_options(CLI::App& command, TrainOutput& output) {
  CLI::Option* quiet = command.add_flag(
      "--quiet", output.quiet, "Print warnings, notes (a save, a skipped step) and errors only");
  CLI::Option* json = command.add_flag(
      "--json", output.json,
      "Print the lines of metrics.jsonl to stdout, and one of the end; else as --quiet");
  CLI::Option* panel = command.add_flag("--panel", output.panel,
                                        "Draw the panel though stderr is no terminal, as under "
                                        "mpirun, whose terminal gets it");
  quiet->excludes(json)->excludes(panel);
  json->excludes(panel);
}

void add_rank_options(CLI::App& command, TrainArguments& arguments) {
  command
      .add_option("--ranks,--gpus", arguments.planned_ranks,
                  "Of a dry run: as if it were started on so many, wherever this is")
      ->check(at_least(1));
  command
      .add_option("--launcher", arguments.launcher,
                  "Whose variables say which rank this is: auto, mpi, slurm, torchrun or alone")
      ->capture_default_str();
}

}  // namespace

void add_train_command(CLI::App& app) {
  auto arguments = std::make_shared<TrainArguments>();
  CLI::App* command = app.add_subcommand("train", "Train a model, on all ranks of the launch");
  command->footer(
      "Examples:\n"
      "  phalanx train configs/quickstart.yaml\n"
      "  mpirun -np 4 phalanx train run.yaml parallel.tensor_parallel_size=2 --resume auto\n"
      "  phalanx train run.yaml --resume runs/first/checkpoints/step-004000 --skip-steps 200\n"
      "  phalanx train run.yaml --json | jq .loss\n"
      "SIGUSR1 (to mpirun), a file RUN/stop, or Ctrl-C on a rank that was started alone: save and\n"
      "stop, exit code 75; SIGUSR2: save, go on.");
  command->add_option("config", arguments->request.file, "YAML file of a run")->required();
  command->add_option("overrides", arguments->request.overrides, "key=value, after the file");
  command
      ->add_option("--resume", arguments->resume,
                   "none, auto (the newest valid checkpoint, or a new run) or a checkpoint's path")
      ->capture_default_str();
  command
      ->add_option("--skip-steps", arguments->skip_steps,
                   "Resume: pass over so many steps, as after a loss spike; they count as taken. "
                   "Saved at once: for one start, since each one with it passes over as many")
      ->check(at_least(1));
  command
      ->add_option("--profile", arguments->profile,
                   "Trace these steps (12 or 12-14) to RUN/profile/rank-*.json, for Perfetto")
      ->check(trace_steps(arguments->trace));
  command->add_flag(
      "--dry-run", arguments->dry_run,
      "Check configuration, data, first weights and memory, print the plan, the arithmetic of the "
      "batch and the lines that launch it; train nothing");
  add_rank_options(*command, *arguments);
  add_output_options(*command, arguments->output);
  command->add_flag("--ignore-memory-plan", arguments->ignore_memory_plan,
                    "Start even where the memory that is planned exceeds what is free");
  command->callback([arguments] {
    if (arguments->planned_ranks > 0 && !arguments->dry_run) {
      throw std::invalid_argument(
          "--ranks: expected --dry-run with it; a run has the ranks that its launcher starts");
    }
    const ExitCode code = train(*arguments);
    if (code != ExitCode::kDone) throw CLI::RuntimeError(static_cast<int>(code));
  });
}

}  // namespace phalanx
