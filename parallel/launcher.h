#pragma once
// Who started this process, and as which rank: read from the variables that launchers set.
//
// Local and pure: the environment is a function argument. Order of belief: what the caller was told
// (LauncherChoice), torchrun's own mark (a torchrun agent may itself run under mpirun or srun, so
// its workers see those variables too), MPI launchers, srun (only inside a step: any command of a
// batch script sees SLURM_PROCID), RANK and WORLD_SIZE set by hand, nobody.
// Errors: variables that are no numbers are std::invalid_argument. A launcher that started one rank
// where another one, around it, says more is a LaunchError: as many lone runs would train the same
// thing; so are RANK and WORLD_SIZE that name another world than MPI or srun.
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "parallel/launch_complaint.h"

namespace phalanx {

/// Value of an environment variable, or nothing when it is not set.
using EnvironmentLookup = std::function<std::optional<std::string>(const std::string& name)>;

enum class Launcher { kNobody, kMpi, kSlurm, kTorchrun };

/// Whose variables count; kAuto: the order above.
enum class LauncherChoice { kAuto, kMpi, kSlurm, kTorchrun, kNobody };

struct LaunchInfo {
  Launcher launcher = Launcher::kNobody;
  std::string described = "a lone process";  // for messages: "mpirun (OMPI_COMM_WORLD_SIZE=4)"
  std::string srun_mpi;  // "pmix", "pmi2": srun --mpi= started the ranks of MPI; else empty
  std::string agent_id;  // of torchrun's rendezvous; empty: no agent has started this process
  int rank = 0;
  std::optional<int> size = 1;  // unknown under some PMIx launchers until MPI is initialised
  int local_rank = 0;
  int local_size = 1;
  // For torchrun and srun: where the store listens that they meet at without MPI, who serves it and
  // how often the job was restarted.
  std::string store_host;
  uint16_t store_port = 0;
  bool agent_serves_store = false;
  int restart = 0;
};

/// What keeps the ranks from meeting, and so is met by each of them alone: `rank` is which one this
/// is, and `place` where they would have met, so that they need not all say it.
class LaunchError final : public std::invalid_argument {
 public:
  LaunchError(int rank, MeetingPlace place, const std::string& text)
      : std::invalid_argument(text), rank_(rank), place_(std::move(place)) {}
  int rank() const { return rank_; }
  const MeetingPlace& place() const { return place_; }

 private:
  int rank_;
  MeetingPlace place_;
};

/// Where the ranks of a launch meet without MPI, or could: those of srun and of torchrun's
/// variables; nowhere for all others, and where an agent serves the store.
MeetingPlace meeting_place(const LaunchInfo& launch);

LaunchInfo detect_launch(const EnvironmentLookup& environment,
                         LauncherChoice choice = LauncherChoice::kAuto);

/// "auto", "mpi", "slurm", "torchrun" or "alone".
LauncherChoice launcher_choice(const std::string& name);

/// "node003" of "node[003-010,12],gpu1", as Slurm writes lists of hosts.
std::string first_host(const std::string& node_list);

/// 4 for node 2 of "8(x2),4". Throws std::invalid_argument where the text says nothing of it.
int tasks_of_node(const std::string& tasks, int node);

/// Where the ranks of a step meet without MPI: one of 12,000 ports, the same for all of them.
int slurm_store_port(int job, int step);

}  // namespace phalanx
