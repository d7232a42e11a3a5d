#include "launch/launchers/slurm_launch.h"

#include <fmt/format.h>

#include "launch/launchers/mpirun_launch.h"

namespace phalanx {
namespace {

std::string options_text(const LaunchJob& job) {
  std::string text;
  const auto option = [&](const std::string& words) { text += "#SBATCH --" + words + "\n"; };
  option("job-name=" + job.name);
  option(fmt::format("nodes={}", job.nodes));
  option(fmt::format("ntasks-per-node={}", job.ranks_per_node));
  if (job.binds) option(fmt::format("cpus-per-task={}", job.cores_per_rank));
  if (job.gpus) option(fmt::format("gpus-per-node={}", job.ranks_per_node));
  if (!job.time_limit.empty()) option("time=" + job.time_limit);
  option(fmt::format("signal=B:USR1@{}", job.signal_seconds));
  option("requeue");
  option("open-mode=append");
  option(fmt::format("output={}/slurm-%j.log", job.folder));
  for (const std::string& words : job.slurm_options) option(words);
  return text;
}

// A signal ends the wait, not the supervisor. Slurm holds a job back for up to two minutes after a
// requeue, and ends this script by TERM where it is cancelled.
constexpr const char* kBody = R"(supervisor=$!
trap 'kill -USR1 "$supervisor"' USR1
trap 'kill -TERM "$supervisor"' TERM
code=0
while :; do
  wait "$supervisor"
  code=$?
  kill -0 "$supervisor" 2>/dev/null || break
done

if ((code == 75)); then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
)";

}  // namespace

LaunchText slurm_launch(const LaunchJob& job) {
  LaunchJob batch = job;
  batch.hosts.clear();
  batch.rsh_agent.clear();
  std::vector<std::string> words = {job.program, "supervise", "--"};
  for (const std::string& word : mpirun_words(batch)) words.push_back(word);
  const std::string script = job.folder + "/train.sbatch";
  const std::string text = fmt::format("#!/usr/bin/env bash\n{}set -uo pipefail\n\n{} &\n{}",
                                       options_text(job), shell_line(words), kBody);
  return {{{script, text, true}}, {"sbatch", script}};
}

}  // namespace phalanx
