#include "launch/train_run.h"

#include <c10/core/DeviceGuard.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <optional>

#include "configs/field_list.h"
#include "data/file.h"
#include "data/file_lock.h"
#include "launch/counted.h"
#include "launch/dry_run_text.h"
#include "launch/gpu_rules.h"
#include "launch/kernel_text.h"
#include "launch/memory_check.h"
#include "launch/model_place.h"
#include "launch/plan_text.h"
#include "launch/run_report.h"
#include "launch/run_start.h"
#include "launch/same_start.h"
#include "launch/speak_once.h"
#include "parallel/agreement.h"
#include "parallel/nccl_communicator.h"
#include "trainer/attempt_start.h"
#include "trainer/checkpoint/checkpoint_folder.h"
#include "trainer/checkpoint/manifest_model.h"
#include "trainer/host_heap.h"
#include "trainer/metrics/attempts.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

/// Takes the folder for this start of the run. One at a time works there: two would set each
/// other's checkpoints aside.
std::optional<FileLock> take_folder(const fs::path& run_folder, const ResolvedConfig& config,
                                    TrainState& state) {
  make_folders(run_folder / "checkpoints");
  std::optional<FileLock> lock = FileLock::try_exclude(run_folder / "lock");
  if (!lock) {
    throw std::invalid_argument(fmt::format(
        "run.name: expected {} to be free, found another phalanx train at work in it: wait for it "
        "to end, or choose another run.name",
        run_folder.string()));
  }
  if (!lock->keeps_others_out()) {
    std::fprintf(stderr,
                 "warning: the file system of %s has no locks: see to it that no second "
                 "phalanx train works there\n",
                 run_folder.c_str());
  }
  clean_checkpoints(run_folder / "checkpoints");
  fs::remove(run_folder / "stop");  // of an earlier stop: it has been obeyed
  state.attempt = next_attempt(run_folder / "metrics.jsonl");
  commit_file(run_folder / "config.yaml", resolved_yaml(config));
  save_attempt_start(run_folder, {resolved_yaml(config), state});
  return lock;
}

/// The command that goes on with this run, as a person would type it here.
std::string resume_line(const TrainArguments& arguments, const Session& session) {
  std::string line;
  if (session.size() > 1) {
    line = fmt::format("mpirun -np {} -q --oversubscribe --bind-to none {}", session.size(),
                       geteuid() == 0 ? "--allow-run-as-root " : "");
  }
  line += fmt::format(
      "{} train {}",
      fs::read_symlink("/proc/self/exe").lexically_proximate(fs::current_path()).string(),
      arguments.request.file);
  for (const std::string& override : arguments.request.overrides) {
    if (!override.starts_with("run.stop_after_steps=")) line += " '" + override + "'";
  }
  return line + " --resume auto";
}

/// What model.init_from names must open and be this model, before anything is planned. A stage may
/// turn heads by another base than its starting weights did (midtraining does), but not unsaid.
std::string check_first_weights(const RunConfig& config) {
  const std::string& folder = config.model.init_from;
  if (folder.empty()) return "";
  const HfConfig found = open_model(folder, "model.init_from: " + folder).config;
  check_same_model(config.model.shape, found.shape, folder, "model.init_from: " + folder);
  const StageConfig& first = config.stages.front();
  if (found.rope_theta == first.rope_theta) return "";
  return fmt::format("note: {} was trained with rope_theta {:g}, stage {} uses {:g}\n", folder,
                     found.rope_theta, first.name, first.rope_theta);
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
    return check_gpu(gpu_model(session.device_index()), config.precision);
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

TrainerOptions trainer_options(const fs::path& run_folder, const ResolvedConfig& config,
                               const fs::path& resumed_from, const TrainArguments& arguments,
                               StopSignals& signals) {
  TrainerOptions options;
  options.run_folder = run_folder;
  options.config_yaml = resolved_yaml(config);
  options.resumed_from = resumed_from;
  options.save_first = arguments.skip_steps > 0;
  options.trace = arguments.trace;
  options.started = arguments.started;
  options.on_terminal = isatty(STDERR_FILENO) == 1;
  options.requests = [&signals, stop_file = run_folder / "stop"] {
    Requests requests = signals.poll();
    std::error_code unknown;  // a file system that does not answer asks for nothing
    requests.stop |= fs::exists(stop_file, unknown);
    return requests;
  };
  return options;
}

void print_plan(const MixturePlan& plan, const RunConfig& config,
                const std::vector<std::string>& warnings, const std::string& notes) {
  for (const std::string& warning : warnings) std::fprintf(stderr, "%s\n", warning.c_str());
  std::fputs((plan_text(plan, config) + notes).c_str(), stderr);
}

void say_kernels(const RunConfig& config) {
  for (const std::string& line : kernel_lines(config)) std::fprintf(stderr, "%s\n", line.c_str());
}

void print_report(const RunConfig& config, const RunOutcome& outcome, const ReportPlace& place) {
  std::fputs(("\n" + run_report(config, outcome, place)).c_str(), stdout);
}

/// What the run needs of this machine, before its first step; a dry run may be for another one.
/// Collective.
void check_machine(const RunConfig& config, const TrainArguments& arguments, Session& session) {
  if (!arguments.dry_run) run_together(session.control(), [&] { check_device(config, session); });
  if (!arguments.dry_run && config.parallel.device == DeviceKind::kCuda) check_own_gpus(session);
  const std::string memory =
      check_memory(config, arguments.request.config_dir, arguments.planned_ranks, session,
                   /*refuse=*/!arguments.ignore_memory_plan && !arguments.dry_run);
  if (session.rank() != 0) return;
  std::fprintf(stderr, "%s\n", memory.c_str());
  if (!arguments.dry_run) return say_kernels(config);
  std::fputs(dry_run_text(config, arguments).c_str(), stderr);
}

/// What a start of the run is made of.
struct RunParts {
  RunStart start;
  RunData data;
  PlannedRun planned;
};

/// Collective. `checkpoint` may be empty; so many steps behind it are passed over.
RunParts open_parts(const fs::path& checkpoint, int64_t skip_steps, const ResolvedConfig& resolved,
                    Session& session) {
  Communicator& control = session.control();
  RunParts parts;
  parts.start = together(control, [&] { return open_run_start(checkpoint, resolved); });
  run_together(control, [&] {
    if (session.rank() != 0 || !parts.start.new_weights()) return;
    parts.start.notes += check_first_weights(resolved.run);
  });
  parts.data = together(
      control, [&] { return open_run_data(resolved.run, session.rank(), session.size()); });
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
                 const TrainerOptions& options, Session& session) {
  map_tensors_one_by_one();
  Trainer trainer(config, context, std::move(parts.data), std::move(parts.planned),
                  std::move(parts.start.state), {parts.start.checkpoint.get(), parts.start.moments},
                  options);
  parts.start.checkpoint.reset();
  keep_freed_tensors();
  try {
    return trainer.run();
  } catch (const ExitError&) {
    throw;
  } catch (const std::exception& error) {
    // Before the trainer goes, which would wait for a save under way while the others wait for us.
    speak_and_abort(session, error);
  }
}

}  // namespace

bool train_run(const TrainArguments& arguments, const ResolvedConfig& resolved, Session& session,
               StopSignals& signals, HangGuard& hang_guard) {
  const RunConfig& config = resolved.run;
  Communicator& control = session.control();
  const fs::path run_folder = fs::path(config.dir) / config.name;
  const bool speaks = session.rank() == 0;

  const fs::path checkpoint = choose_checkpoint(arguments.resume, run_folder, session);
  RunParts parts = open_parts(checkpoint, arguments.skip_steps, resolved, session);
  check_same_start(config, parts.data, session);
  run_together(control, [&] {
    if (speaks) print_plan(*parts.planned.plan, config, parts.data.warnings, parts.start.notes);
  });
  check_machine(config, arguments, session);
  if (arguments.dry_run) return false;

  // The first rank's, held to the end.
  const std::optional<FileLock> lock = together(control, [&] {
    return speaks ? take_folder(run_folder, resolved, parts.start.state) : std::nullopt;
  });
  hang_guard.set_folder(run_folder / "hangs");
  // Kernels and allocations without a device of their own go to the current one.
  const c10::DeviceGuard guard(device_of(config, session));
  const Mesh mesh = make_mesh(session.rank(), session.size(),
                              static_cast<int>(config.parallel.tensor_parallel_size));
  const MeshGroups groups = session.make_groups(mesh);
  const RunContext context{
      mesh, control, *groups.tp, *groups.dp, device_of(config, session), &hang_guard.recorder()};
  TrainerOptions options = trainer_options(run_folder, resolved, checkpoint, arguments, signals);
  RunOutcome outcome = train(config, context, std::move(parts), options, session);
  while (outcome.roll_back) {
    options.resumed_from = outcome.roll_back->checkpoint;
    options.save_first = true;
    options.stop_first = outcome.roll_back->stop;
    outcome =
        train(config, context, roll_back(outcome, resolved, session, run_folder), options, session);
  }
  if (speaks) {
    print_report(config, outcome, {run_folder, resume_line(arguments, session), session.size()});
    note_trace(arguments.trace, outcome.state.step, run_folder);
  }
  return outcome.stopped;
}

}  // namespace phalanx
