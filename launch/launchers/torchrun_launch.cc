#include "launch/launchers/torchrun_launch.h"

#include <fmt/format.h>

namespace phalanx {

LaunchText torchrun_launch(const LaunchJob& job) {
  const std::string first = job.hosts.empty() ? "localhost" : job.hosts.front().name;
  std::vector<std::string> words = {
      "env",
      fmt::format("OMP_NUM_THREADS={}", job.cores_per_rank),
      "torchrun",
      "--no-python",
      fmt::format("--nnodes={}", job.nodes),
      fmt::format("--nproc-per-node={}", job.ranks_per_node),
      "--rdzv-backend=c10d",
      fmt::format("--rdzv-endpoint={}:{}", first, job.port),
      "--rdzv-id=" + job.name,
      job.program,
  };
  words.insert(words.end(), job.train.begin(), job.train.end());
  return {{}, words};
}

}  // namespace phalanx
