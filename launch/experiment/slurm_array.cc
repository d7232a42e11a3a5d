#include "launch/experiment/slurm_array.h"

#include <fmt/format.h>

#include <algorithm>

#include "launch/launchers/batch_body.h"
#include "launch/launchers/launch_job.h"

namespace phalanx {

std::string slurm_array_script(const ExperimentConfig& experiment, size_t num_runs,
                               const std::string& program) {
  const std::string command = shell_line({program, "experiment", experiment.file});
  std::string text = "#!/usr/bin/env bash\n";
  text += fmt::format("#SBATCH --job-name={}\n", experiment.name);
  text += fmt::format("#SBATCH --array=0-{}%{}\n", num_runs - 1, experiment.parallel);
  text +=
      fmt::format("#SBATCH --cpus-per-task={}\n", std::max<int64_t>(1, experiment.cores_per_run));
  if (experiment.gpus_per_run > 0) {
    text += fmt::format("#SBATCH --gpus-per-task={}\n", experiment.gpus_per_run);
  }
  text +=
      "#SBATCH --ntasks=1\n"
      "#SBATCH --signal=B:USR1@300\n"
      "#SBATCH --requeue\n"
      "#SBATCH --open-mode=append\n";
  text += fmt::format(
      "# One run of {0} a task. Put more options of your cluster above, and send it off by\n"
      "#   sbatch SCRIPT\n"
      "# Once the array has ended, this writes results.csv and report.html:\n"
      "#   {1} --report-only\n",
      experiment.name, command);
  return text + batch_body(command + " --only \"$SLURM_ARRAY_TASK_ID\"",
                           "\"${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}\"");
}

}  // namespace phalanx
