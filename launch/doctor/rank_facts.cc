#include "launch/doctor/rank_facts.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "data/block_hash.h"
#include "data/shards/block_verifier.h"
#include "launch/cores.h"
#include "parallel/gpu_facts.h"
#include "parallel/host_name.h"
#include "parallel/mpi_flavour.h"
#include "parallel/nccl_communicator.h"

namespace phalanx {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(NetworkInterface, name, address, up, megabits)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RankFacts, rank, local_rank, local_size, host, launcher, program,
                                   cores, launcher_cores, threads, mpi, mpi_threads, nvidia_driver,
                                   cuda_driver, cuda_build, nccl, gpus, gpu_bus_id, shares_gpus,
                                   interfaces, infiniband, shm_bytes, shm_free_bytes, open_files,
                                   locked_bytes, variables, write_bytes_per_second, write_error,
                                   data_error)

namespace {

/// Cores that the parent may use: a launcher binds its ranks, not itself.
int cores_of_parent() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(getppid(), sizeof set, &set) != 0) return available_cores();
  return std::max(CPU_COUNT(&set), available_cores());
}

int wanted_threads(const RunConfig* config) {
  if (config && config->parallel.threads_per_rank > 0) {
    return static_cast<int>(config->parallel.threads_per_rank);
  }
  const char* variable = std::getenv("OMP_NUM_THREADS");
  return variable ? std::atoi(variable) : 0;
}

int64_t soft_limit(int resource) {
  rlimit limit{};
  if (getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) return -1;
  return limit.rlim_cur == RLIM_INFINITY ? -1 : static_cast<int64_t>(limit.rlim_cur);
}

/// "580.65.06" of "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun ...".
std::string nvidia_driver() {
  std::ifstream file("/proc/driver/nvidia/version");
  std::string line, word;
  std::getline(file, line);
  std::istringstream words(line);
  while (words >> word) {
    if (word.find('.') != std::string::npos && word[0] >= '0' && word[0] <= '9') return word;
  }
  return "";
}

std::vector<std::string> launch_variables() {
  std::vector<std::string> found;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    for (const char* family : {"NCCL_", "UCX_", "FI_", "CUDA_VISIBLE_DEVICES="}) {
      if (text.starts_with(family)) found.push_back(text);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

void look_at_gpus(const Session& session, RankFacts& facts) {
  const CudaVersions versions = cuda_versions();
  facts.nvidia_driver = nvidia_driver();
  facts.cuda_driver = versions.driver;
  facts.cuda_build = versions.runtime;
  facts.nccl = versions.nccl;
  for (int gpu = 0; gpu < num_cuda_devices(); ++gpu) facts.gpus.push_back(gpu_model(gpu).name);
  facts.shares_gpus = session.shares_gpus();
  if (session.device_index() < num_cuda_devices()) {
    facts.gpu_bus_id = gpu_bus_id(session.device_index());
  }
}

void look_at_shared_memory(RankFacts& facts) {
  struct statvfs found {};
  if (statvfs("/dev/shm", &found) != 0) return;
  facts.shm_bytes = static_cast<int64_t>(found.f_blocks * found.f_frsize);
  facts.shm_free_bytes = static_cast<int64_t>(found.f_bavail * found.f_frsize);
}

}  // namespace

RankFacts look_around(const Session& session, const RunConfig* config) {
  RankFacts facts;
  facts.rank = session.rank();
  facts.local_rank = session.local_rank();
  facts.local_size = session.local_size();
  facts.host = host_name();
  facts.launcher = session.launch().described;
  if (facts.local_rank == 0) facts.program = hash_text(hash_file("/proc/self/exe"));
  facts.cores = available_cores();
  facts.launcher_cores = cores_of_parent();
  facts.threads = wanted_threads(config);
  facts.mpi = mpi_library();
  facts.mpi_threads = mpi_thread_level();
  look_at_gpus(session, facts);
  facts.interfaces = network_interfaces();
  facts.infiniband = infiniband_devices();
  look_at_shared_memory(facts);
  facts.open_files = soft_limit(RLIMIT_NOFILE);
  facts.locked_bytes = soft_limit(RLIMIT_MEMLOCK);
  facts.variables = launch_variables();
  return facts;
}

std::string facts_text(const RankFacts& facts) { return nlohmann::json(facts).dump(); }

RankFacts facts_from_text(const std::string& text) { return nlohmann::json::parse(text); }

}  // namespace phalanx
