#pragma once
// What a person asks of `phalanx launch`, and the job that it means on this machine. Pure, but for
// this_machine(), which looks at the processor, the GPUs and the environment's names. Local.
// Errors: std::invalid_argument that names the option.
#include <cstdint>
#include <string>
#include <vector>

#include "configs/read_config.h"
#include "launch/launchers/launch_job.h"

namespace phalanx {

enum class LaunchTarget { kMpirun, kSlurm, kKubeflow, kTorchrun };

struct LaunchRequest {
  ConfigRequest config;  // file and overrides, as the ranks will read them
  LaunchTarget on = LaunchTarget::kMpirun;
  int64_t nodes = 0;           // 0: as many as hosts are named, else one
  int64_t ranks_per_node = 0;  // 0: this machine's GPUs; on CPU the tensor-parallel size
  int64_t cores_per_rank = 0;  // 0: parallel.threads_per_rank, else this machine's share
  std::string resume = "auto";
  std::vector<HostSlots> hosts;
  std::string hosts_place;  // "--hosts" or the hostfile's path, for messages
  LaunchJob options;        // what is handed on as it is: mpirun, agent, image, ...
};

/// The machine that `phalanx launch` runs on.
struct ThisMachine {
  int64_t gpus = 0;
  int64_t cores = 1;
  bool is_root = false;
  std::string program;
  std::string work_folder;
  MpiFlavour flavour = MpiFlavour::kOpenMpi;
  std::vector<std::string> exported;  // names of variables that NCCL and UCX read
};

ThisMachine this_machine();

/// Ranks of the job, for which the configuration is to be checked.
LaunchJob make_job(const LaunchRequest& request, const RunConfig& config,
                   const ThisMachine& machine);

/// What the target's launcher wants. Errors: what it cannot do with this configuration.
LaunchText make_launch(LaunchTarget on, const LaunchJob& job);

}  // namespace phalanx
