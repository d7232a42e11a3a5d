#include "launch/launchers/mpirun_launch.h"

#include <fmt/format.h>

#include <utility>

namespace phalanx {
namespace {

using Words = std::vector<std::string>;

void append(Words& words, Words more) {
  for (std::string& word : more) words.push_back(std::move(word));
}

std::string hostfile_path(const LaunchJob& job) { return job.folder + "/hostfile"; }

std::string threads_text(const LaunchJob& job) { return std::to_string(job.cores_per_rank); }

// -q: mpirun would explain every exit code but 0, of which 75 is no failure.
Words open_mpi_words(const LaunchJob& job) {
  Words words = {job.mpirun, "-q", "-np", std::to_string(job.num_ranks())};
  if (!job.hosts.empty()) append(words, {"--hostfile", hostfile_path(job)});
  // PE: cores of a rank. By itself Open MPI binds each of one or two ranks to a single core.
  const std::string per_node = fmt::format("ppr:{}:node", job.ranks_per_node);
  if (job.binds) {
    append(words, {"--map-by", fmt::format("{}:PE={}", per_node, job.cores_per_rank)});
    append(words, {"--bind-to", "core"});
  } else {
    append(words, {"--map-by", per_node + ":OVERSUBSCRIBE", "--bind-to", "none"});
  }
  if (job.as_root) words.push_back("--allow-run-as-root");
  if (!job.rsh_agent.empty()) append(words, {"--mca", "plm_rsh_agent", job.rsh_agent});
  if (!job.interface.empty()) {
    append(words, {"--mca", "btl_tcp_if_include", job.interface});
    append(words, {"--mca", "oob_tcp_if_include", job.interface});
  }
  append(words, {"-x", "OMP_NUM_THREADS=" + threads_text(job)});
  for (const std::string& name : job.exported) append(words, {"-x", name});
  return words;
}

// Hydra hands the whole environment on by itself.
Words hydra_words(const LaunchJob& job) {
  Words words = {job.mpirun, "-n", std::to_string(job.num_ranks())};
  if (!job.hosts.empty()) append(words, {"-f", hostfile_path(job)});
  append(words, {"-ppn", std::to_string(job.ranks_per_node), "-bind-to"});
  words.push_back(job.binds ? "core:" + threads_text(job) : "none");
  if (!job.rsh_agent.empty()) append(words, {"-launcher", "ssh", "-launcher-exec", job.rsh_agent});
  if (!job.interface.empty()) append(words, {"-iface", job.interface});
  append(words, {"-genv", "OMP_NUM_THREADS", threads_text(job)});
  return words;
}

std::string hostfile_text(const LaunchJob& job) {
  const bool hydra = job.flavour == MpiFlavour::kMpich;
  std::string text;
  for (const HostSlots& host : job.hosts) {
    text += fmt::format("{}{}{}\n", host.name, hydra ? ":" : " slots=", job.ranks_per_node);
  }
  return text;
}

}  // namespace

std::vector<std::string> mpirun_words(const LaunchJob& job) {
  Words words = job.flavour == MpiFlavour::kMpich ? hydra_words(job) : open_mpi_words(job);
  words.push_back(job.program);
  append(words, job.train);
  return words;
}

LaunchText mpirun_launch(const LaunchJob& job) {
  LaunchText launch;
  if (!job.hosts.empty()) launch.files.push_back({hostfile_path(job), hostfile_text(job), false});
  launch.command = mpirun_words(job);
  return launch;
}

}  // namespace phalanx
