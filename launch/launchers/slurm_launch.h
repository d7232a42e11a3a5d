#pragma once
// A batch script for Slurm. What dies or hangs is restarted inside the allocation (phalanx
// supervise); before its time is over, or when it is preempted, Slurm sends USR1 to the script,
// which hands it on and waits: the run saves, ends with 75, and the job is requeued. Pure, local.
#include "launch/launchers/launch_job.h"

namespace phalanx {

/// RUN/launch/train.sbatch, and sbatch with it. Ranks are started by mpirun, which knows the
/// allocation's hosts; job.hosts does not count.
LaunchText slurm_launch(const LaunchJob& job);

}  // namespace phalanx
