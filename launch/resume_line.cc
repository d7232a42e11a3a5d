#include "launch/resume_line.h"

#include <algorithm>
#include <utility>

#include "launch/counted.h"
#include "launch/launchers/kubeflow_launch.h"
#include "launch/launchers/launch_job.h"
#include "launch/launchers/torchrun_launch.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

void append(Words& words, Words more) {
  for (std::string& word : more) words.push_back(std::move(word));
}

/// Each host once, with its ranks.
std::vector<HostSlots> hosts_of(const RunStarter& starter) {
  std::vector<HostSlots> hosts;
  for (const std::string& name : starter.hosts) {
    const auto known = std::find_if(hosts.begin(), hosts.end(),
                                    [&](const HostSlots& host) { return host.name == name; });
    if (known == hosts.end()) {
      hosts.push_back({name, 1});
    } else {
      ++known->slots;
    }
  }
  return hosts;
}

/// Where mpirun has to be told them: an allocation of Slurm it finds by itself.
Words host_words(const RunStarter& starter, const std::vector<HostSlots>& hosts, bool hydra) {
  if (hosts.size() < 2 || starter.in_slurm_job) return {};
  const fs::path file = starter.launch_folder / "hostfile";
  if (fs::exists(file)) return {hydra ? "-f" : "--hostfile", file.string()};
  std::string names;
  for (const HostSlots& host : hosts) {
    names += (names.empty() ? "" : ",") + host.name + ":" + std::to_string(host.slots);
  }
  return {hydra ? "-hosts" : "--host", names};
}

Words mpirun_words(const RunStarter& starter, const std::vector<HostSlots>& hosts) {
  const std::string ranks = std::to_string(starter.hosts.size());
  const bool hydra = starter.flavour == MpiFlavour::kMpich;
  Words words = {"mpirun", hydra ? "-n" : "-np", ranks};
  if (!hydra) append(words, {"-q", "--oversubscribe", "--bind-to", "none"});
  if (!hydra && starter.is_root) words.emplace_back("--allow-run-as-root");
  append(words, host_words(starter, hosts, hydra));
  return words;
}

Words srun_words(const RunStarter& starter, const std::vector<HostSlots>& hosts) {
  Words words = {"srun", "-N", std::to_string(hosts.size()), "-n",
                 std::to_string(starter.hosts.size())};
  if (!starter.launch.srun_mpi.empty()) words.push_back("--mpi=" + starter.launch.srun_mpi);
  return words;
}

/// For a shell of each host, or of each rank where nobody else gives them their numbers.
std::string torchrun_line(const RunStarter& starter, const std::vector<HostSlots>& hosts,
                          const Words& command) {
  if (starter.launch.agent_id.empty()) {
    return shell_line(command) + "  # on each of " +
           counted(static_cast<int64_t>(starter.hosts.size()), "rank") +
           ", with its RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT";
  }
  LaunchJob job;
  job.name = starter.run_name;
  job.program = command.front();
  job.train.assign(command.begin() + 1, command.end());
  job.nodes = static_cast<int64_t>(hosts.size());
  job.ranks_per_node = hosts.front().slots;
  job.cores_per_rank = starter.threads;
  if (hosts.size() > 1) job.hosts = hosts;
  const std::string line = shell_line(torchrun_launch(job).command);
  return hosts.size() == 1 ? line : line + "  # on each of " + counted(job.nodes, "host");
}

/// What `phalanx launch` wrote for a scheduler, if that is what runs this; empty: nothing.
Words scheduler_words(const RunStarter& starter) {
  const fs::path script = starter.launch_folder / "train.sbatch";
  if (starter.in_slurm_job && fs::exists(script)) return {"sbatch", script.string()};
  // The operator calls its pods so. One that has ended is not started again by `apply`.
  const std::string pods = kubernetes_name(starter.run_name) + "-worker-";
  const fs::path manifest = starter.launch_folder / "mpijob.yaml";
  if (starter.hosts.front().starts_with(pods) && fs::exists(manifest)) {
    return {"kubectl", "replace", "--force", "-f", manifest.string()};
  }
  return {};
}

}  // namespace

std::string resume_line(const RunStarter& starter, const std::vector<std::string>& command) {
  Words words = scheduler_words(starter);
  if (!words.empty()) return shell_line(words);
  const std::vector<HostSlots> hosts = hosts_of(starter);
  const LaunchInfo& launch = starter.launch;
  if (launch.launcher == Launcher::kTorchrun) return torchrun_line(starter, hosts, command);
  if (launch.launcher == Launcher::kSlurm || !launch.srun_mpi.empty()) {
    words = srun_words(starter, hosts);
  } else if (launch.launcher == Launcher::kMpi) {
    words = mpirun_words(starter, hosts);
  }
  append(words, command);
  return shell_line(words);
}

}  // namespace phalanx
