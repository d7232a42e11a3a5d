#include "launch/commands/launch.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>

#include "configs/units.h"
#include "data/file.h"
#include "launch/child_process.h"
#include "launch/command_errors.h"
#include "launch/install_paths.h"
#include "launch/launchers/launch_request.h"
#include "launch/launchers/launcher_check.h"
#include "launch/restart_rules.h"
#include "parallel/exit_codes.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

constexpr double kPollSeconds = 0.1;
constexpr double kHostSeconds = 20.0;  // for a host to answer before mpirun is started
constexpr int64_t kMaxHostfileBytes = int64_t{16} << 20;

struct LaunchArguments {
  LaunchRequest request;
  std::string on, hosts, hostfile, time_limit;
  std::string version;  // what the program answers to --version
  bool print = false;
};

struct NamedTarget {
  const char* name;
  LaunchTarget target;
};
constexpr NamedTarget kTargets[] = {{"mpirun", LaunchTarget::kMpirun},
                                    {"slurm", LaunchTarget::kSlurm},
                                    {"kubeflow", LaunchTarget::kKubeflow},
                                    {"torchrun", LaunchTarget::kTorchrun}};

LaunchTarget target_of(const std::string& name) {
  for (const NamedTarget& known : kTargets) {
    if (name == known.name) return known.target;
  }
  throw std::invalid_argument(fmt::format("--on: found no launcher named {}", name));
}

/// `23h` as Slurm writes it: 23:00:00.
std::string slurm_time(const std::string& text) {
  try {
    const auto seconds = static_cast<int64_t>(std::llround(parse_seconds(text)));
    return fmt::format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(fmt::format("--time: {}", error.what()));
  }
}

void read_hosts(LaunchArguments& arguments) {
  LaunchRequest& request = arguments.request;
  if (!arguments.hostfile.empty()) {
    request.hosts_place = arguments.hostfile;
    const std::string text = read_text(arguments.hostfile, kMaxHostfileBytes);
    request.hosts = read_hostfile(text, arguments.hostfile);
    return;
  }
  if (arguments.hosts.empty()) return;
  request.hosts_place = "--hosts";
  std::string lines = arguments.hosts;
  for (char& letter : lines) letter = letter == ',' ? '\n' : letter;
  request.hosts = read_hostfile(lines, "--hosts");
}

/// The job, its configuration checked for as many ranks.
LaunchJob plan_job(LaunchArguments& arguments) {
  LaunchRequest& request = arguments.request;
  request.on = target_of(arguments.on);
  request.config.config_dir = find_config_dir();
  if (!arguments.time_limit.empty()) request.options.time_limit = slurm_time(arguments.time_limit);
  read_hosts(arguments);
  const LaunchJob job = make_job(request, read_run_config(request.config).run, this_machine());
  ConfigRequest checked = request.config;
  checked.num_ranks = job.num_ranks();
  std::fputs(read_run_config(checked).preset_note().c_str(), stderr);
  const bool by_name = request.on == LaunchTarget::kMpirun || request.on == LaunchTarget::kTorchrun;
  if (job.nodes > 1 && job.hosts.empty() && by_name) {
    throw std::invalid_argument(fmt::format(
        "--nodes {}: expected --hosts or --hostfile to name the hosts, found neither", job.nodes));
  }
  if (job.cores_are_guessed) {
    std::fprintf(stderr,
                 "note: --cores-per-rank: %lld, from the cores of this machine; say it for the "
                 "machines of the job\n",
                 static_cast<long long>(job.cores_per_rank));
  }
  return job;
}

void write_files(const LaunchText& launch) {
  for (const LaunchFile& file : launch.files) {
    make_folders(fs::path(file.path).parent_path());
    commit_file(file.path, file.text);
    if (file.executable) {
      fs::permissions(file.path, fs::perms::owner_exec, fs::perm_options::add);
    }
  }
}

/// Waits for the command and hands signals on to it; its exit code.
int run_child(const std::vector<std::string>& command) {
  const JobSignals signals;
  ChildProcess child(command, signals);
  for (;;) {
    if (const std::optional<JobSignal> signal = signals.wait(kPollSeconds)) child.pass_on(*signal);
    if (const std::optional<int> code = child.ended()) return *code;
  }
}

/// The program has spoken for itself if it ended with a code of its own.
bool has_spoken(int code) {
  for (const ExitCode known :
       {ExitCode::kDone, ExitCode::kBadInput, ExitCode::kFaultyHardware, ExitCode::kUnavailable,
        ExitCode::kStopped, ExitCode::kHang, ExitCode::kNonFinite}) {
    if (code == static_cast<int>(known)) return true;
  }
  return false;
}

int launch(LaunchArguments& arguments) {
  const LaunchJob job = plan_job(arguments);
  const LaunchTarget on = arguments.request.on;
  const LaunchText text = make_launch(on, job);
  if (arguments.print) {
    std::fputs(launch_text(text).c_str(), stdout);
    return 0;
  }
  if (on == LaunchTarget::kTorchrun && job.nodes > 1) {
    throw std::invalid_argument(
        "--on torchrun: expected --nodes 1, or --print, whose line is then to be run on each host");
  }
  if (on == LaunchTarget::kMpirun) {
    check_mpirun(job, mpi_library());
    check_hosts(job, arguments.version, kHostSeconds);
  }
  write_files(text);
  std::fprintf(stderr, "phalanx launch: %s\n", shell_line(text.command).c_str());
  const int code = run_child(text.command);
  if (!has_spoken(code)) {
    std::fprintf(stderr, "phalanx: error: launch: %s ended with exit code %d (%s)\n",
                 text.command.front().c_str(), code, meaning_of_exit(code).c_str());
  }
  return code;
}

void add_place_options(CLI::App& command, LaunchArguments& arguments) {
  LaunchRequest& request = arguments.request;
  command.add_option("--nodes", request.nodes, "Hosts (default: as many as are named, else 1)")
      ->check(at_least(1));
  command
      .add_option("--gpus-per-node,--ranks-per-node", request.ranks_per_node,
                  "Ranks of a host, one a GPU (default: this machine's GPUs; on CPU the "
                  "tensor-parallel size)")
      ->check(at_least(1));
  command
      .add_option("--cores-per-rank", request.cores_per_rank,
                  "Cores that a rank is bound to, and its threads (default: "
                  "parallel.threads_per_rank, else this machine's cores shared out)")
      ->check(at_least(1));
  CLI::Option* hosts =
      command.add_option("--hosts", arguments.hosts, "mpirun: names, with commas between them");
  command.add_option("--hostfile", arguments.hostfile, "mpirun: lines HOST, or HOST slots=N")
      ->excludes(hosts);
  command.add_option("--mpirun", request.options.mpirun, "mpirun: the program")
      ->capture_default_str();
  command.add_option("--rsh-agent", request.options.rsh_agent,
                     "mpirun: what starts a command on a host, in the place of ssh");
  command.add_option("--interface", request.options.interface,
                     "mpirun: the network that ranks talk over, as eth0 or 10.0.0.0/16");
}

void add_cluster_options(CLI::App& command, LaunchArguments& arguments) {
  LaunchJob& options = arguments.request.options;
  command.add_option("--time", arguments.time_limit,
                     "slurm: the job's limit, as 23h (default: the partition's)");
  command
      .add_option("--stop-before", options.signal_seconds,
                  "slurm: seconds before the limit at which the run saves and stops")
      ->check(at_least(1))
      ->capture_default_str();
  command
      .add_option("--slurm", options.slurm_options,
                  "slurm: an option of sbatch without its dashes, as partition=a100; again for "
                  "more")
      ->allow_extra_args(false);
  command.add_option("--image", options.image, "kubeflow: the container image");
  command
      .add_option("--volume", options.volumes,
                  "kubeflow: CLAIM:/PATH, a volume claim and where it is mounted; again for "
                  "more")
      ->allow_extra_args(false);
  command.add_option("--port", options.port, "torchrun: of the first host")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
}

}  // namespace

void add_launch_command(CLI::App& app) {
  auto arguments = std::make_shared<LaunchArguments>();
  arguments->version = app.version();
  CLI::App* command =
      app.add_subcommand("launch", "Start a training on many hosts, by the launcher that is there");
  command->footer(
      "Examples:\n"
      "  phalanx launch run.yaml --on mpirun --hosts node1,node2 --gpus-per-node 8\n"
      "  phalanx launch run.yaml --on slurm --nodes 240 --gpus-per-node 8 --time 24h --print\n"
      "  phalanx launch run.yaml --on kubeflow --nodes 4 --gpus-per-node 8 --image me/phalanx \\\n"
      "      --volume data:/data --print\n"
      "Files go to RUN/launch. --print only shows them, and the command that would be run.");
  LaunchRequest& request = arguments->request;
  command->add_option("config", request.config.file, "YAML file of a run")->required();
  command->add_option("overrides", request.config.overrides, "key=value, after the file");
  std::vector<std::string> names;
  for (const NamedTarget& known : kTargets) names.emplace_back(known.name);
  command->add_option("--on", arguments->on, "mpirun, slurm, kubeflow or torchrun")
      ->required()
      ->check(CLI::IsMember(names));
  command->add_flag("--print", arguments->print, "Write and run nothing, print it");
  command
      ->add_option("--resume", request.resume,
                   "auto (the newest valid checkpoint, or a new run), none or a checkpoint's path")
      ->capture_default_str();
  command->add_option("--program", request.options.program,
                      "Path of phalanx on the hosts (default: this one)");
  add_place_options(*command, *arguments);
  add_cluster_options(*command, *arguments);
  command->callback([arguments] {
    const int code = launch(*arguments);
    if (code != 0) throw CLI::RuntimeError(code);
  });
}

}  // namespace phalanx
