#include "launch/train_run.h"

#include <ATen/Parallel.h>
#include <c10/core/DeviceGuard.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <optional>
#include <utility>

#include "configs/field_list.h"
#include "configs/gpu_table.h"
#include "data/file.h"
#include "launch/counted.h"
#include "launch/descriptor_limit.h"
#include "launch/dry_run_text.h"
#include "launch/environment.h"
#include "launch/gpu_rules.h"
#include "launch/memory_check.h"
#include "launch/model_place.h"
#include "launch/resume_line.h"
#include "launch/run_folder.h"
#include "launch/run_start.h"
#include "launch/same_start.h"
#include "launch/speak_once.h"
#include "launch/store_environment.h"
#include "parallel/agreement.h"
#include "parallel/gpu_facts.h"
#include "parallel/host_name.h"
#include "parallel/mpi_flavour.h"
#include "parallel/nccl_communicator.h"
#include "trainer/attempt_start.h"
#include "trainer/cache_room.h"
#include "trainer/checkpoint/manifest_model.h"
#include "trainer/host_heap.h"
#include "trainer/planner/step_plan.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

/// For a person who stands where the run was started. Collective.
std::string line_to_resume(const TrainArguments& arguments, const RunConfig& config,
                           const fs::path& run_folder, Session& session) {
  RunStarter starter;
  starter.launch = session.launch();
  starter.flavour = mpi_flavour(mpi_library());
  starter.hosts = all_gather_strings(session.control(), host_name());
  starter.launch_folder = run_folder / "launch";
  starter.run_name = config.name;
  starter.is_root = geteuid() == 0;
  starter.in_slurm_job = environment("SLURM_JOB_ID").has_value();
  starter.threads = at::get_num_threads();
  const fs::path program = fs::read_symlink("/proc/self/exe");
  std::vector<std::string> command = {program.lexically_proximate(fs::current_path()).string(),
                                      "train", arguments.request.file};
  for (const std::string& override : arguments.request.overrides) {
    if (!override.starts_with("run.stop_after_steps=")) command.push_back(override);
  }
  if (arguments.launcher != "auto") command.push_back("--launcher=" + arguments.launcher);
  command.insert(command.end(), {"--resume", "auto"});
  return resume_line(starter, command);
}

/// A trace that the run was too short for must not be waited for.
void note_trace(const TraceSteps& trace, int64_t last_step, const fs::path& run_folder) {
  if (trace.first == 0) return;
  if (last_step < trace.first) {
    std::fprintf(stderr, "note: no profile: the run ended at step %lld, before step %lld\n",
                 static_cast<long long>(last_step), static_cast<long long>(trace.first));
  } else {
    std::fprintf(stderr, "profile: %s/rank-*.json, for Perfetto or chrome://tracing\n",
                 (run_folder / "profile").c_str());
  }
}

void check_device(const RunConfig& config, const Session& session) {
  if (config.parallel.device == DeviceKind::kCpu) return;
  const int num_devices = num_cuda_devices();
  if (session.device_index() < num_devices) {
    return check_gpu(gpu_model(session.device_index()), config.precision, config.fp8_scaling);
  }
  throw std::invalid_argument(fmt::format(
      "parallel.device: expected cpu, or as many GPUs as this host has ranks, {}; got cuda and {} "
      "that this build can use",
      session.local_size(), counted(num_devices, "GPU")));
}

at::Device device_of(const RunConfig& config, const Session& session) {
  if (config.parallel.device == DeviceKind::kCpu) return at::kCPU;
  return at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(session.device_index()));
}

/// A second, of this rank's processor, for MFU; 0: not known. On a host no table can know it.
double peak_flops_of(const RunConfig& config, const std::string& config_dir,
                     const Session& session) {
  constexpr double kTera = 1e12;
  if (session.rank() != 0) return 0.0;  // which records nothing
  if (config.logging.peak_tflops > 0) return config.logging.peak_tflops * kTera;
  if (config.parallel.device == DeviceKind::kCpu) return 0.0;
  const GpuTable table = read_gpu_table({config_dir + "/gpus.yaml"});
  const Accelerator* gpu = find_gpu_called(table, gpu_model(session.device_index()).name);
  return gpu == nullptr ? 0.0 : peak_flops(*gpu, config.precision == Precision::kFp32 ? 4 : 2);
}

TrainerOptions trainer_options(const fs::path& run_folder, const ResolvedConfig& config,
                               const fs::path& resumed_from, const TrainArguments& arguments,
                               const TrainProcess& process) {
  TrainerOptions options;
  options.run_folder = run_folder;
  options.config_yaml = resolved_yaml(config);
  options.resumed_from = resumed_from;
  options.save_first = arguments.skip_steps > 0;
  options.trace = arguments.trace;
  options.started = arguments.started;
  options.records.run_folder = run_folder;
  options.records.progress =
      progress_options(arguments.output, config.run.logging.interval_seconds);
  if (arguments.output.json) options.records.echo = MetricsEcho::kStdout;
  options.records.event_files = config.run.logging.tensorboard;
  options.peak_flops = peak_flops_of(config.run, arguments.request.config_dir, process.session);
  options.requests = [&signals = process.signals, stop_file = run_folder / "stop"] {
    Requests requests = signals.poll();
    std::error_code unknown;  // a file system that does not answer asks for nothing
    if (!requests.stop && fs::exists(stop_file, unknown)) {
      requests.stop = true;
      requests.stop_reason = "the file " + stop_file.string();
    }
    return requests;
  };
  return options;
}

/// What the run needs of this machine, before its first step; a dry run may be for another one.
/// Collective.
void check_machine(const RunConfig& config, const TrainArguments& arguments, Session& session) {
  if (!arguments.dry_run) run_together(session.control(), [&] { check_device(config, session); });
  if (!arguments.dry_run && config.parallel.device == DeviceKind::kCuda) {
    check_own_gpus(session.control(), [&] {
      return session.shares_gpus() ? std::string() : gpu_bus_id(session.device_index());
    });
  }
  const std::string memory =
      check_memory(config, arguments.request.config_dir, arguments.planned_ranks, session,
                   /*refuse=*/!arguments.ignore_memory_plan && !arguments.dry_run);
  if (session.rank() != 0) return;
  print_machine(arguments.output, memory, config, arguments.dry_run);
  if (!arguments.dry_run || !arguments.output.for_people()) return;
  std::fputs(dry_run_text(config, arguments).c_str(), stderr);
}

/// What a start of the run is made of.
struct RunParts {
  RunStart start;
  int64_t saved_step = 0;  // of the checkpoint, before any that are passed over
  RunData data;
  PlannedRun planned;
};

/// Collective. `checkpoint` may be empty; so many steps behind it are passed over.
RunParts open_parts(const fs::path& checkpoint, int64_t skip_steps, const ResolvedConfig& resolved,
                    Session& session) {
  Communicator& control = session.control();
  RunParts parts;
  parts.start = together(control, [&] { return open_run_start(checkpoint, resolved); });
  parts.saved_step = parts.start.state.step;
  run_together(control, [&] {
    if (session.rank() != 0 || !parts.start.new_weights()) return;
    parts.start.notes += first_weights_notes(resolved.run);
  });
  parts.data = together(control, [&] {
    return open_run_data(resolved.run, session.rank(), session.size(),
                         store_environment(environment));
  });
  parts.planned = together(
      control, [&] { return plan_run(resolved.run, parts.data, skip_steps, parts.start); });
  return parts;
}

/// After a spike: the start behind the steps that led to it. Collective.
RunParts roll_back(const RunOutcome& outcome, const ResolvedConfig& resolved, Session& session,
                   const fs::path& run_folder) {
  const RollBack& back = *outcome.roll_back;
  const int64_t saved_step = together(
      session.control(), [&] { return CheckpointReader(back.checkpoint).manifest().step; });
  RunParts parts = open_parts(back.checkpoint, back.step - saved_step, resolved, session);
  TrainState& state = parts.start.state;
  state.roll_backs = outcome.state.roll_backs + 1;
  state.attempt = outcome.state.attempt + 1;
  run_together(session.control(), [&] {
    if (session.rank() != 0) return;
    std::fprintf(stderr, "rolled back to %s\n%s", back.checkpoint.c_str(),
                 parts.start.notes.c_str());
    save_attempt_start(run_folder, {resolved_yaml(resolved), state});
  });
  return parts;
}

/// Collective.
RunOutcome train(const RunConfig& config, const RunContext& context, RunParts parts,
                 TrainerOptions options, const TrainProcess& process) {
  map_tensors_one_by_one();
  // What came after the checkpoint is of a branch that was left; of a new run, all that is there.
  const int64_t first_step = parts.start.resumed_from.empty() ? 0 : parts.saved_step + 1;
  options.records.start = {first_step, parts.start.state.attempt, options.config_yaml};
  Trainer trainer(config, context, std::move(parts.data), std::move(parts.planned),
                  std::move(parts.start.state), {parts.start.checkpoint.get(), parts.start.moments},
                  std::move(options));
  parts.start.checkpoint.reset();
  keep_freed_tensors();
  try {
    return trainer.run();
  } catch (const ExitError&) {
    throw;
  } catch (const std::exception& error) {
    // Before the trainer goes, which would wait for a save under way while the others wait for us.
    process.end_note.write_failure(error);
    speak_and_abort(process.session, error);
  }
}

/// Collective: also over the attempts that roll back after a spike.
RunOutcome train_to_end(const TrainArguments& arguments, const ResolvedConfig& resolved,
                        RunParts parts, const TrainProcess& process) {
  const RunConfig& config = resolved.run;
  Session& session = process.session;
  const fs::path run_folder = fs::path(config.dir) / config.name;
  // Kernels and allocations without a device of their own go to the current one.
  const c10::DeviceGuard guard(device_of(config, session));
  const Mesh mesh = make_mesh(session.rank(), session.size(),
                              static_cast<int>(config.parallel.tensor_parallel_size));
  const MeshGroups groups = session.make_groups(mesh);
  const RunContext context{mesh,       session.control(),          *groups.tp,
                           *groups.dp, device_of(config, session), &process.hang_guard.recorder()};
  TrainerOptions options =
      trainer_options(run_folder, resolved, parts.start.resumed_from, arguments, process);
  RunOutcome outcome = train(config, context, std::move(parts), options, process);
  while (outcome.roll_back) {
    options.resumed_from = outcome.roll_back->checkpoint;
    options.save_first = true;
    options.stop_first = outcome.roll_back->stop;
    outcome =
        train(config, context, roll_back(outcome, resolved, session, run_folder), options, process);
  }
  return outcome;
}

}  // namespace

bool train_run(const TrainArguments& arguments, const ResolvedConfig& resolved,
               const TrainProcess& process) {
  const RunConfig& config = resolved.run;
  Session& session = process.session;
  Communicator& control = session.control();
  const fs::path run_folder = fs::path(config.dir) / config.name;
  const bool speaks = session.rank() == 0;

  const ChosenCheckpoint chosen = choose_checkpoint(arguments.resume, run_folder, session);
  RunParts parts = open_parts(chosen.path, arguments.skip_steps, resolved, session);
  parts.start.notes.insert(0, chosen.notes);
  run_together(control, [&] {
    const int64_t max_files = arguments.dry_run ? INT64_MAX : descriptor_limit();
    check_cache_room(config, parts.data, parts.planned.plan, {session.local_size(), max_files});
  });
  check_same_start(config, parts.data, session);
  run_together(control, [&] {
    if (!speaks) return;
    print_plan(arguments.output, *parts.planned.plan, config, parts.data.warnings,
               parts.start.notes);
  });
  check_machine(config, arguments, session);
  if (arguments.dry_run) return false;

  // The first rank's, held to the end.
  const std::optional<FileLock> lock = together(control, [&] {
    std::optional<FileLock> taken;
    if (speaks) taken = take_run_folder(run_folder, resolved_yaml(resolved), parts.start.state);
    process.end_note.open(run_folder, session.rank());
    return taken;
  });
  process.hang_guard.set_folder(run_folder / "hangs");
  const std::string resume = line_to_resume(arguments, config, run_folder, session);
  const RunOutcome outcome = train_to_end(arguments, resolved, std::move(parts), process);
  if (speaks) {
    process.end_note.write(outcome.stopped ? ExitCode::kStopped : ExitCode::kDone,
                           outcome.stopped ? outcome.stop_reason : "");
    print_report(arguments.output, config, outcome, {run_folder, resume, session.size()});
    note_trace(arguments.trace, outcome.state.step, run_folder);
  }
  return outcome.stopped;
}

}  // namespace phalanx
