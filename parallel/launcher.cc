#include "parallel/launcher.h"

#include <fmt/format.h>

#include <charconv>
#include <stdexcept>
#include <string_view>

namespace phalanx {
namespace {

// Below the ports that Linux gives to connections by itself (from 32768 on).
constexpr int kFirstPort = 20000, kPorts = 12000;

std::optional<int> number(const EnvironmentLookup& environment, const std::string& name,
                          int smallest) {
  const std::optional<std::string> text = environment(name);
  if (!text) return std::nullopt;
  int value = 0;
  const char* end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data(), end, value);
  if (error != std::errc() || stop != end || value < smallest) {
    throw std::invalid_argument(
        fmt::format("environment variable {}: expected an integer of at least {}, found \"{}\"",
                    name, smallest, *text));
  }
  return value;
}

int needed(const EnvironmentLookup& environment, const std::string& name, int smallest,
           const std::string& because) {
  const std::optional<int> value = number(environment, name, smallest);
  if (!value) {
    throw std::invalid_argument(fmt::format(
        "environment variable {}: expected a value because {} is set, found none", name, because));
  }
  return *value;
}

void check_rank(const LaunchInfo& info) {
  if (info.size && info.rank >= *info.size) {
    throw std::invalid_argument(fmt::format("{}: expected a rank below {}, found {}",
                                            info.described, *info.size, info.rank));
  }
}

uint16_t store_port(int port) {
  if (port <= UINT16_MAX) return static_cast<uint16_t>(port);
  throw std::invalid_argument(
      fmt::format("environment variable MASTER_PORT: expected 1 to 65535, found {}", port));
}

LaunchInfo torchrun_launch(const EnvironmentLookup& environment) {
  LaunchInfo info;
  info.launcher = Launcher::kTorchrun;
  info.size = needed(environment, "WORLD_SIZE", 1, "RANK");
  info.rank = needed(environment, "RANK", 0, "WORLD_SIZE");
  info.described = fmt::format("torchrun (WORLD_SIZE={})", *info.size);
  info.local_rank = number(environment, "LOCAL_RANK", 0).value_or(info.rank);
  info.local_size = number(environment, "LOCAL_WORLD_SIZE", 1).value_or(*info.size);
  if (*info.size > 1) {
    info.store_host = environment("MASTER_ADDR").value_or("");
    if (info.store_host.empty()) {
      throw std::invalid_argument(
          "environment variable MASTER_ADDR: expected the host of rank 0 "
          "because WORLD_SIZE is set, found none");
    }
    info.store_port = store_port(needed(environment, "MASTER_PORT", 1, "MASTER_ADDR"));
  }
  info.agent_serves_store = environment("TORCHELASTIC_USE_AGENT_STORE").value_or("") == "True";
  info.restart = number(environment, "TORCHELASTIC_RESTART_COUNT", 0).value_or(0);
  info.agent_id = environment("TORCHELASTIC_RUN_ID").value_or("");
  check_rank(info);
  return info;
}

struct MpiVariables {
  const char* launcher;
  const char* rank;
  const char* size;
  const char* local_rank;
  const char* local_size;
};
constexpr MpiVariables kMpiVariables[] = {
    {"mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
     "OMPI_COMM_WORLD_LOCAL_SIZE"},
    {"an MPI launcher", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"},
};

/// Rank 0 runs on the first host of the step.
void meet_in_step(const EnvironmentLookup& environment, LaunchInfo& info) {
  info.store_host = environment("MASTER_ADDR")
                        .value_or(first_host(environment("SLURM_STEP_NODELIST").value_or("")));
  const int job = number(environment, "SLURM_JOB_ID", 0).value_or(0);
  const int step = number(environment, "SLURM_STEP_ID", 0).value_or(0);
  info.store_port =
      store_port(number(environment, "MASTER_PORT", 1).value_or(slurm_store_port(job, step)));
}

/// srun starts ranks of MPI itself where it speaks PMI or PMIx; else the step that is seen is that
/// of mpirun's daemons.
void note_srun(const EnvironmentLookup& environment, const char* flavour, LaunchInfo& info) {
  const std::optional<int> tasks = number(environment, "SLURM_STEP_NUM_TASKS", 1);
  const bool is_rank = tasks && tasks == info.size &&
                       number(environment, "SLURM_PROCID", 0) == std::optional<int>(info.rank);
  if (!is_rank || environment("MPI_LOCALRANKID") || environment("OMPI_COMM_WORLD_SIZE")) return;
  info.srun_mpi = flavour;
  if (*tasks > 1) meet_in_step(environment, info);
}

std::optional<LaunchInfo> mpi_launch(const EnvironmentLookup& environment) {
  for (const MpiVariables& names : kMpiVariables) {
    const std::optional<int> size = number(environment, names.size, 1);
    if (!size) continue;
    LaunchInfo info;
    info.launcher = Launcher::kMpi;
    info.described = fmt::format("{} ({}={})", names.launcher, names.size, *size);
    info.size = size;
    info.rank = needed(environment, names.rank, 0, names.size);
    info.local_rank = number(environment, names.local_rank, 0).value_or(info.rank);
    info.local_size = number(environment, names.local_size, 1).value_or(*size);
    check_rank(info);
    note_srun(environment, "pmi2", info);
    return info;
  }
  if (const std::optional<int> rank = number(environment, "PMIX_RANK", 0)) {
    LaunchInfo info;
    info.launcher = Launcher::kMpi;
    info.rank = *rank;
    info.size = number(environment, "SLURM_STEP_NUM_TASKS", 1);
    info.local_rank = number(environment, "SLURM_LOCALID", 0).value_or(*rank);
    info.described = fmt::format("a PMIx launcher (PMIX_RANK={})", *rank);
    if (info.size) info.local_size = *info.size;
    check_rank(info);
    note_srun(environment, "pmix", info);
    return info;
  }
  return std::nullopt;
}

std::optional<LaunchInfo> slurm_launch(const EnvironmentLookup& environment) {
  const std::optional<int> size = number(environment, "SLURM_STEP_NUM_TASKS", 1);
  if (!size) return std::nullopt;
  LaunchInfo info;
  info.launcher = Launcher::kSlurm;
  info.size = size;
  info.rank = needed(environment, "SLURM_PROCID", 0, "SLURM_STEP_NUM_TASKS");
  info.local_rank = number(environment, "SLURM_LOCALID", 0).value_or(info.rank);
  const std::string tasks = environment("SLURM_STEP_TASKS_PER_NODE").value_or("");
  const int node = number(environment, "SLURM_NODEID", 0).value_or(0);
  info.local_size = tasks.empty() ? *size : tasks_of_node(tasks, node);
  info.described = fmt::format("srun (SLURM_STEP_NUM_TASKS={})", *size);
  info.restart = number(environment, "SLURM_RESTART_COUNT", 0).value_or(0);
  if (*size > 1) meet_in_step(environment, info);
  check_rank(info);
  return info;
}

bool has_ranks_by_hand(const EnvironmentLookup& environment) {
  return environment("RANK") && environment("WORLD_SIZE");
}

/// What stands around `chosen` says `other`; `outer` is whose rank this is, where there are
/// several.
[[noreturn]] void refuse_both(const LaunchInfo& chosen, const LaunchInfo& outer,
                              const std::string& other) {
  throw LaunchError(
      outer.rank, meeting_place(outer),
      fmt::format("number of ranks: expected the launchers around this process to agree, found {} "
                  "and {}: each would start runs of its own. Start the ranks by one of them only, "
                  "or say with --launcher which one counts",
                  chosen.described, other));
}

/// MPI or srun has placed this process; does another launcher around it say something else?
void check_agreement(const LaunchInfo& chosen, const EnvironmentLookup& environment) {
  if (!chosen.size) return;  // MPI will say
  // mpirun of an allocation starts its daemons by srun, one a host, so ranks may see a step of
  // another size than their world's; only a lone rank contradicts it.
  const bool is_alone = chosen.launcher == Launcher::kMpi && *chosen.size == 1;
  const std::optional<LaunchInfo> step = is_alone ? slurm_launch(environment) : std::nullopt;
  if (step && *step->size > 1) refuse_both(chosen, *step, step->described);
  if (!has_ranks_by_hand(environment)) return;
  const int by_hand = number(environment, "WORLD_SIZE", 1).value_or(1);
  if (by_hand == 1 || by_hand == *chosen.size) return;
  refuse_both(chosen, chosen, fmt::format("RANK and WORLD_SIZE={}", by_hand));
}

/// Agents that mpirun or srun started are one job where they have met; a lone worker's has not.
void check_agent(const LaunchInfo& agent, const EnvironmentLookup& environment) {
  if (agent.size != 1) return;
  std::optional<LaunchInfo> outer = mpi_launch(environment);
  if (!outer) outer = slurm_launch(environment);
  if (outer && outer->size.value_or(1) > 1) refuse_both(agent, *outer, outer->described);
}

LaunchInfo chosen_launch(const std::optional<LaunchInfo>& found, const std::string& choice,
                         const std::string& variables) {
  if (found) return *found;
  throw std::invalid_argument(fmt::format(
      "--launcher {}: expected {} in the environment, found none of them", choice, variables));
}

LaunchInfo find_launch(const EnvironmentLookup& environment) {
  if (environment("TORCHELASTIC_RUN_ID")) {
    const LaunchInfo agent = torchrun_launch(environment);
    check_agent(agent, environment);
    return agent;
  }
  if (const std::optional<LaunchInfo> mpi = mpi_launch(environment)) {
    check_agreement(*mpi, environment);
    return *mpi;
  }
  const std::optional<LaunchInfo> slurm = slurm_launch(environment);
  // A step of one task is how an interactive shell looks; RANK set inside it says more.
  if (slurm && *slurm->size > 1) {
    check_agreement(*slurm, environment);
    return *slurm;
  }
  if (has_ranks_by_hand(environment)) return torchrun_launch(environment);
  return slurm.value_or(LaunchInfo{});
}

}  // namespace

MeetingPlace meeting_place(const LaunchInfo& launch) {
  if (launch.agent_serves_store) return {};
  return {launch.store_host, launch.store_port, launch.size.value_or(1)};
}

std::string first_host(const std::string& node_list) {
  const size_t bracket = node_list.find('[');
  const size_t comma = node_list.find(',');
  if (bracket == std::string::npos || comma < bracket) return node_list.substr(0, comma);
  const size_t end = node_list.find_first_of("-,]", bracket);
  return node_list.substr(0, bracket) + node_list.substr(bracket + 1, end - bracket - 1);
}

int tasks_of_node(const std::string& tasks, int node) {
  const char* place = tasks.data();
  const char* const end = place + tasks.size();
  for (int first = 0; place < end;) {
    int count = 0, nodes = 1;
    std::from_chars_result read = std::from_chars(place, end, count);
    if (read.ec == std::errc() && std::string_view(read.ptr, end).starts_with("(x")) {
      read = std::from_chars(read.ptr + 2, end, nodes);
      if (read.ptr < end && *read.ptr == ')') ++read.ptr;
    }
    if (read.ec != std::errc() || (read.ptr < end && *read.ptr != ',')) break;
    if (node < first + nodes) return count;
    first += nodes;
    place = read.ptr + 1;
  }
  throw std::invalid_argument(
      fmt::format("environment variable SLURM_STEP_TASKS_PER_NODE: expected the tasks of node {} "
                  "(SLURM_NODEID), as in 8(x2),4; found \"{}\"",
                  node, tasks));
}

int slurm_store_port(int job, int step) {
  return kFirstPort + static_cast<int>((int64_t{job} * 7 + step) % kPorts);
}

LauncherChoice launcher_choice(const std::string& name) {
  if (name == "auto") return LauncherChoice::kAuto;
  if (name == "mpi") return LauncherChoice::kMpi;
  if (name == "slurm") return LauncherChoice::kSlurm;
  if (name == "torchrun") return LauncherChoice::kTorchrun;
  if (name == "alone") return LauncherChoice::kNobody;
  throw std::invalid_argument(
      fmt::format("--launcher: expected auto, mpi, slurm, torchrun or alone, found '{}'", name));
}

LaunchInfo detect_launch(const EnvironmentLookup& environment, LauncherChoice choice) {
  switch (choice) {
    case LauncherChoice::kMpi:
      return chosen_launch(mpi_launch(environment), "mpi",
                           "OMPI_COMM_WORLD_SIZE, PMI_SIZE or PMIX_RANK");
    case LauncherChoice::kSlurm:
      return chosen_launch(slurm_launch(environment), "slurm", "SLURM_STEP_NUM_TASKS");
    case LauncherChoice::kTorchrun:
      if (has_ranks_by_hand(environment)) return torchrun_launch(environment);
      return chosen_launch(std::nullopt, "torchrun", "RANK and WORLD_SIZE");
    case LauncherChoice::kNobody:
      return LaunchInfo{};
    default:
      return find_launch(environment);
  }
}

}  // namespace phalanx
