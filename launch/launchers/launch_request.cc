#include "launch/launchers/launch_request.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include "launch/cores.h"
#include "launch/launchers/kubeflow_launch.h"
#include "launch/launchers/launcher_check.h"
#include "launch/launchers/mpirun_launch.h"
#include "launch/launchers/slurm_launch.h"
#include "launch/launchers/torchrun_launch.h"
#include "parallel/nccl_communicator.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

int64_t ranks_per_node(const LaunchRequest& request, const RunConfig& config,
                       const ThisMachine& machine) {
  if (request.ranks_per_node > 0) return request.ranks_per_node;
  if (config.parallel.device == DeviceKind::kCpu) return config.parallel.tensor_parallel_size;
  if (machine.gpus > 0) return machine.gpus;
  throw std::invalid_argument(
      "--gpus-per-node: expected the number of GPUs of a host, since parallel.device is cuda and "
      "none is found here to count");
}

/// True where cores are those of this machine, or taken for such.
void set_cores(const LaunchRequest& request, const RunConfig& config, const ThisMachine& machine,
               LaunchJob& job) {
  const int64_t asked = request.cores_per_rank, threads = config.parallel.threads_per_rank;
  job.cores_per_rank = asked > 0     ? asked
                       : threads > 0 ? threads
                                     : std::max<int64_t>(1, machine.cores / job.ranks_per_node);
  const bool fits = job.ranks_per_node * job.cores_per_rank <= machine.cores;
  // Only mpirun's ranks run on a machine like this one; a scheduler's node may have more cores.
  job.binds = fits || asked > 0 || request.on != LaunchTarget::kMpirun;
  const bool elsewhere = request.on != LaunchTarget::kMpirun || request.hosts.size() > 1;
  job.cores_are_guessed = asked == 0 && threads == 0 && elsewhere;
}

std::vector<std::string> exported_names() {
  std::vector<std::string> names;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!text.starts_with("NCCL_") && !text.starts_with("UCX_")) continue;
    names.push_back(text.substr(0, text.find('=')));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string own_path() {
  std::error_code unknown;
  const fs::path path = fs::read_symlink("/proc/self/exe", unknown);
  return unknown ? "phalanx" : path.string();
}

}  // namespace

ThisMachine this_machine() {
  ThisMachine machine;
  machine.gpus = num_cuda_devices();
  machine.cores = physical_cores();
  machine.is_root = geteuid() == 0;
  machine.program = own_path();
  machine.work_folder = fs::current_path().string();
  machine.flavour = mpi_flavour(mpi_library());
  machine.exported = exported_names();
  return machine;
}

LaunchJob make_job(const LaunchRequest& request, const RunConfig& config,
                   const ThisMachine& machine) {
  LaunchJob job = request.options;
  job.name = config.name;
  job.folder = (fs::path(config.dir) / config.name / "launch").string();
  if (job.program.empty()) job.program = machine.program;
  job.train = {"train", request.config.file};
  job.train.insert(job.train.end(), request.config.overrides.begin(),
                   request.config.overrides.end());
  job.train.insert(job.train.end(), {"--resume", request.resume});
  const int64_t named = static_cast<int64_t>(request.hosts.size());
  job.nodes = request.nodes > 0 ? request.nodes : std::max<int64_t>(1, named);
  job.ranks_per_node = ranks_per_node(request, config, machine);
  job.gpus = config.parallel.device == DeviceKind::kCuda;
  set_cores(request, config, machine, job);
  job.flavour = machine.flavour;
  job.exported = machine.exported;
  job.as_root = machine.is_root;
  job.work_folder = machine.work_folder;
  if (!request.hosts.empty()) {
    job.hosts = choose_hosts(request.hosts, job.nodes, job.ranks_per_node, request.hosts_place);
  }
  return job;
}

LaunchText make_launch(LaunchTarget on, const LaunchJob& job) {
  switch (on) {
    case LaunchTarget::kSlurm:
      return slurm_launch(job);
    case LaunchTarget::kKubeflow:
      if (job.image.empty()) {
        throw std::invalid_argument(
            "--image: expected the container image that the pods run, found none");
      }
      return kubeflow_launch(job);
    case LaunchTarget::kTorchrun:
      if (!job.gpus) {
        throw std::invalid_argument(
            "--on torchrun: expected parallel.device: cuda, found cpu: ranks on CPU need MPI to "
            "move their tensors; take --on mpirun");
      }
      return torchrun_launch(job);
    default:
      return mpirun_launch(job);
  }
}

}  // namespace phalanx
