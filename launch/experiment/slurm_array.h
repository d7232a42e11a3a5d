#pragma once
// An experiment as a Slurm job array: a script with one task a run. Pure text; local.
#include <string>

#include "configs/experiment_config.h"

namespace phalanx {

/// For sbatch. `program` is how it is called there. A task that runs out of time saves and is put
/// into the queue again.
[[nodiscard]] std::string slurm_array_script(const ExperimentConfig& experiment, size_t num_runs,
                                             const std::string& program);

}  // namespace phalanx
