#pragma once
// Who started this process, and as which rank: read from the variables that launchers set.
//
// Local and pure: the environment is a function argument. Order of belief: torchrun's own mark
// (a torchrun agent may itself run under mpirun or srun, so its workers see those variables too),
// MPI launchers, srun (only inside a step: any command of a batch script sees SLURM_PROCID),
// RANK and WORLD_SIZE set by hand, nobody.
// Errors: variables that contradict each other or are no numbers are std::invalid_argument.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace phalanx {

/// Value of an environment variable, or nothing when it is not set.
using EnvironmentLookup = std::function<std::optional<std::string>(const std::string& name)>;

enum class Launcher { kNobody, kMpi, kSlurm, kTorchrun };

struct LaunchInfo {
  Launcher launcher = Launcher::kNobody;
  std::string described = "a lone process";  // for messages: "mpirun (OMPI_COMM_WORLD_SIZE=4)"
  int rank = 0;
  std::optional<int> size = 1;  // unknown under some PMIx launchers until MPI is initialised
  int local_rank = 0;
  int local_size = 1;
  // Only for torchrun: where its store listens, who serves it and how often the job was restarted.
  std::string store_host;
  uint16_t store_port = 0;
  bool agent_serves_store = false;
  int restart = 0;
};

LaunchInfo detect_launch(const EnvironmentLookup& environment);

}  // namespace phalanx
