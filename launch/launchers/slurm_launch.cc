#include "launch/launchers/slurm_launch.h"

#include <fmt/format.h>

#include "launch/launchers/batch_body.h"
#include "launch/launchers/mpirun_launch.h"

namespace phalanx {
namespace {

/// Slurm reads %j and the like in names of files.
std::string doubled_percents(const std::string& text) {
  std::string doubled;
  for (const char c : text) doubled += c == '%' ? "%%" : std::string(1, c);
  return doubled;
}

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
  option(fmt::format("output=\"{}/slurm-%j.log\"", doubled_percents(job.folder)));
  for (const std::string& words : job.slurm_options) option(words);
  return text;
}

}  // namespace

LaunchText slurm_launch(const LaunchJob& job) {
  LaunchJob batch = job;
  batch.hosts.clear();
  batch.rsh_agent.clear();
  std::vector<std::string> words = {job.program, "supervise", "--"};
  for (const std::string& word : mpirun_words(batch)) words.push_back(word);
  const std::string script = job.folder + "/train.sbatch";
  const std::string text = "#!/usr/bin/env bash\n" + options_text(job) +
                           batch_body(shell_line(words), "\"$SLURM_JOB_ID\"");
  return {{{script, text, true}}, {"sbatch", script}};
}

}  // namespace phalanx
