#pragma once
// mpirun's command line, in the words of Open MPI or of MPICH's Hydra, and its hostfile. Pure,
// local. Flags were tried with Open MPI 4.1 and MPICH 4.0.
#include "launch/launchers/launch_job.h"

namespace phalanx {

/// Binds each rank to cores of its own, tells it how many they are (OMP_NUM_THREADS), and puts
/// `ranks_per_node` on each host. With `binds` false, ranks share the cores. Where no hosts are
/// named there is no hostfile: this host, or those of an allocation that mpirun finds by itself.
LaunchText mpirun_launch(const LaunchJob& job);

/// The command alone, without hosts: for a batch script, whose scheduler has chosen them.
std::vector<std::string> mpirun_words(const LaunchJob& job);

}  // namespace phalanx
