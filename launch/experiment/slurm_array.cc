#include "launch/experiment/slurm_array.h"

#include <fmt/format.h>

#include <algorithm>

namespace phalanx {

std::string shell_word(const std::string& text) {
  const std::string plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/=+:,@%";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

std::string slurm_array_script(const ExperimentConfig& experiment, size_t num_runs,
                               const std::string& program) {
  const std::string command =
      fmt::format("{} experiment {}", shell_word(program), shell_word(experiment.file));
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
  text +=
      fmt::format("set -uo pipefail\n\n{} --only \"$SLURM_ARRAY_TASK_ID\" &\nrun=$!\n", command);
  text +=
      "trap 'kill -USR1 \"$run\"' USR1\n"
      "trap 'kill -TERM \"$run\"' TERM\n"
      "code=0\n"
      "# A signal ends the wait, not the run.\n"
      "while :; do\n"
      "  wait \"$run\"\n"
      "  code=$?\n"
      "  kill -0 \"$run\" 2>/dev/null || break\n"
      "done\n\n"
      "if ((code == 75)); then\n"
      "  scontrol requeue \"${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}\"\n"
      "fi\n"
      "exit \"$code\"\n";
  return text;
}

}  // namespace phalanx
