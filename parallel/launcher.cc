#include "parallel/launcher.h"

#include <fmt/format.h>

#include <charconv>
#include <stdexcept>

namespace phalanx {
namespace {

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
    const int port = needed(environment, "MASTER_PORT", 1, "MASTER_ADDR");
    if (port > UINT16_MAX) {
      throw std::invalid_argument(
          fmt::format("environment variable MASTER_PORT: expected 1 to 65535, found {}", port));
    }
    info.store_port = static_cast<uint16_t>(port);
  }
  info.agent_serves_store = environment("TORCHELASTIC_USE_AGENT_STORE").value_or("") == "True";
  info.restart = number(environment, "TORCHELASTIC_RESTART_COUNT", 0).value_or(0);
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
  info.local_size = *size;
  info.described = fmt::format("srun (SLURM_STEP_NUM_TASKS={})", *size);
  check_rank(info);
  return info;
}

}  // namespace

LaunchInfo detect_launch(const EnvironmentLookup& environment) {
  if (environment("TORCHELASTIC_RUN_ID")) return torchrun_launch(environment);
  if (const std::optional<LaunchInfo> info = mpi_launch(environment)) return *info;
  const std::optional<LaunchInfo> slurm = slurm_launch(environment);
  // A step of one task is how an interactive shell looks; RANK set inside it says more.
  if (slurm && *slurm->size > 1) return *slurm;
  if (environment("RANK") && environment("WORLD_SIZE")) return torchrun_launch(environment);
  return slurm.value_or(LaunchInfo{});
}

}  // namespace phalanx
