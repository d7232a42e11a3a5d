#pragma once
// torchrun's command line, where a cluster has torchrun and no MPI. GPUs only: ranks on CPU need
// MPI. Pure, local.
#include "launch/launchers/launch_job.h"

namespace phalanx {

/// The same line on each of job.nodes hosts; job.hosts names the first, where the ranks meet (none:
/// this one).
LaunchText torchrun_launch(const LaunchJob& job);

}  // namespace phalanx
