#include "launch/doctor/findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "launch/counted.h"
#include "launch/doctor/judged.h"
#include "launch/resource_text.h"
#include "launch/same_start.h"

namespace phalanx {
namespace {

// A container's default of 64 MiB is what NCCL and the MPI windows run out of.
constexpr int64_t kLeastSharedBytes = int64_t{1} << 30;
// A data set's shard takes two files, a checkpoint one; every rank has its own.
constexpr int64_t kLeastOpenFiles = 4096;
// Below it, writing a checkpoint takes longer than most people wait between two.
constexpr double kLeastWriteSpeed = 100e6;

Finding ok(const std::string& name, const std::string& detail) {
  return {FindingLevel::kOk, name, detail, ""};
}

Finding judge_program(const std::vector<RankFacts>& ranks) {
  std::vector<RankFacts> firsts;
  for (const RankFacts& facts : ranks) {
    if (!facts.program.empty()) firsts.push_back(facts);
  }
  const auto program = [](const RankFacts& facts) { return facts.program; };
  if (all_alike(firsts, program)) return ok("program", "XXH3 " + firsts.front().program);
  return {FindingLevel::kError, "program", values_text(firsts, program),
          "copy one build of phalanx to all hosts"};
}

Finding judge_launch(const std::vector<RankFacts>& ranks) {
  std::set<std::string> hosts;
  for (const RankFacts& facts : ranks) hosts.insert(facts.host);
  return ok("launch", fmt::format("{} on {}, started by {}", counted(int64_t(ranks.size()), "rank"),
                                  counted(int64_t(hosts.size()), "host"), ranks[0].launcher));
}

Finding judge_cores(const std::vector<RankFacts>& ranks) {
  const auto text = [](const RankFacts& facts) {
    return fmt::format(
        "{} of {}{}", counted(facts.cores, "core"), facts.launcher_cores,
        facts.threads > 0 ? fmt::format(" for {}", counted(facts.threads, "thread")) : "");
  };
  const auto is_short = [](const RankFacts& facts) {
    const int share = facts.threads > 0 ? std::min(facts.threads, facts.launcher_cores)
                                        : facts.launcher_cores / facts.local_size;
    return facts.cores < share;
  };
  const std::string bound = who(ranks, is_short);
  const std::string detail = "a rank may use " + values_text(ranks, text);
  if (bound.empty()) return ok("cores", detail);
  return {FindingLevel::kWarning, "cores", fmt::format("{}: bound too tightly: {}", detail, bound),
          "bind each rank to its share of the cores (phalanx launch does), or to none: with Open "
          "MPI --bind-to none"};
}

std::string gpus_text(const RankFacts& facts) {
  if (facts.gpus.empty()) return "none";
  return fmt::format("{} ({})", counted(int64_t(facts.gpus.size()), "GPU"), facts.gpus[0]);
}

/// Ranks on one GPU. NCCL takes them where it was told to, all of them.
std::optional<Finding> judge_sharing(const std::vector<RankFacts>& ranks) {
  std::vector<RankGpu> own;
  for (const RankFacts& facts : ranks) own.push_back({facts.host, facts.gpu_bus_id});
  const std::string shared = shared_gpus(own);
  if (shared.empty()) return std::nullopt;
  const std::string untold = who(ranks, [](const RankFacts& facts) { return !facts.shares_gpus; });
  if (untold.empty()) {
    return Finding{FindingLevel::kWarning, "gpus", "ranks share a GPU, as NCCL was told:" + shared,
                   "good to try a mesh out; it saves no time: one rank a GPU for the run itself"};
  }
  return Finding{FindingLevel::kError, "gpus",
                 fmt::format("ranks share a GPU:{}\n  NCCL was not told so on {}", shared, untold),
                 "one rank a GPU: CUDA_VISIBLE_DEVICES, or fewer ranks a host"};
}

Finding judge_gpus(const std::vector<RankFacts>& ranks, const DoctorWishes& wishes) {
  const auto has_none = [](const RankFacts& facts) { return facts.gpus.empty(); };
  const std::string without = who(ranks, has_none);
  if (std::all_of(ranks.begin(), ranks.end(), has_none)) {
    const std::string detail = ranks[0].cuda_build.empty()
                                   ? "none: this build has no CUDA parts, and trains on CPU"
                                   : "none is seen: training is on CPU";
    if (!wishes.cuda) return ok("gpus", detail);
    return {FindingLevel::kError, "gpus", detail + "; the configuration asks for cuda",
            "run on hosts with GPUs, with a driver, and a build that found CUDA and NCCL"};
  }
  if (wishes.has_config && !wishes.cuda) return ok("gpus", "not used: the run is on CPU");
  if (const std::optional<Finding> shared = judge_sharing(ranks)) return *shared;
  const auto too_few = [](const RankFacts& facts) {
    return !facts.shares_gpus && facts.gpus.size() > 1 &&
           static_cast<int>(facts.gpus.size()) < facts.local_size;
  };
  const std::string few = who(ranks, too_few);
  if (!few.empty()) {
    return {FindingLevel::kError, "gpus",
            fmt::format("{}; more ranks than GPUs: {}", values_text(ranks, gpus_text), few),
            "one rank a GPU: --gpus-per-node, or the launcher's number of ranks a host"};
  }
  if (all_alike(ranks, gpus_text)) return ok("gpus", gpus_text(ranks[0]));
  return {without.empty() ? FindingLevel::kWarning : FindingLevel::kError, "gpus",
          values_text(ranks, gpus_text), "hosts with the same GPUs: the slowest sets the pace"};
}

Finding judge_cuda(const std::vector<RankFacts>& ranks) {
  const auto versions = [](const RankFacts& facts) {
    if (facts.cuda_build.empty()) return std::string("this build has no CUDA parts");
    return fmt::format("driver {} (CUDA {}), built with CUDA {}, NCCL {}",
                       facts.nvidia_driver.empty() ? "none" : facts.nvidia_driver,
                       facts.cuda_driver.empty() ? "none" : facts.cuda_driver, facts.cuda_build,
                       facts.nccl);
  };
  const std::string detail = values_text(ranks, versions);
  if (all_alike(ranks, versions)) return ok("cuda", detail);
  return {FindingLevel::kWarning, "cuda", detail, "the same driver on all hosts"};
}

Finding judge_mpi(const std::vector<RankFacts>& ranks) {
  const auto mpi = [](const RankFacts& facts) {
    return fmt::format("{}, {}", facts.mpi,
                       facts.mpi_threads.empty() ? "not in use here" : facts.mpi_threads);
  };
  const std::string detail = values_text(ranks, mpi);
  if (all_alike(ranks, mpi)) return ok("mpi", detail);
  return {FindingLevel::kError, "mpi", detail, "the same MPI library on all hosts"};
}

std::string network_text(const RankFacts& facts) {
  std::string text;
  for (const NetworkInterface& interface : facts.interfaces) {
    if (!interface.up || interface.address.empty()) continue;
    text += (text.empty() ? "" : " ") + interface.name;
    if (interface.megabits > 0) text += fmt::format("@{:g}Gb/s", double(interface.megabits) / 1e3);
  }
  for (const std::string& device : facts.infiniband) text += " " + device;
  return text.empty() ? "none" : text;
}

Finding judge_network(const std::vector<RankFacts>& ranks) {
  const std::string detail = values_text(ranks, network_text);
  const std::string without =
      who(ranks, [](const RankFacts& facts) { return network_text(facts) == "none"; });
  const bool one_host = all_alike(ranks, [](const RankFacts& facts) { return facts.host; });
  if (!without.empty() && !one_host) {
    return {FindingLevel::kError, "network",
            "no interface that is up and has an address: " + without,
            "ip addr shows what is there"};
  }
  return ok("network", detail);
}

Finding judge_shared_memory(const std::vector<RankFacts>& ranks) {
  const auto text = [](const RankFacts& facts) {
    return facts.shm_bytes < 0 ? std::string("none") : size_text(double(facts.shm_bytes));
  };
  const std::string detail = "/dev/shm of " + values_text(ranks, text);
  const auto is_small = [](const RankFacts& facts) {
    return facts.shm_bytes < kLeastSharedBytes || facts.shm_free_bytes < kLeastSharedBytes / 4;
  };
  const std::string small = who(ranks, is_small);
  if (small.empty()) return ok("shared memory", detail);
  const bool missing = std::any_of(ranks.begin(), ranks.end(),
                                   [](const RankFacts& facts) { return facts.shm_bytes < 0; });
  return {missing ? FindingLevel::kError : FindingLevel::kWarning, "shared memory",
          fmt::format("{}; too little, or too little of it free: {}", detail, small),
          "a container takes --shm-size=8g (docker), a pod an emptyDir of medium Memory"};
}

Finding judge_limits(const std::vector<RankFacts>& ranks) {
  const auto text = [](const RankFacts& facts) {
    const auto limit = [](int64_t value) {
      return value < 0 ? std::string("unlimited") : std::to_string(value);
    };
    return fmt::format(
        "open files {}, locked memory {}", limit(facts.open_files),
        facts.locked_bytes < 0 ? "unlimited" : size_text(double(facts.locked_bytes)));
  };
  const std::string detail = values_text(ranks, text);
  const std::string files = who(ranks, [](const RankFacts& facts) {
    return facts.open_files >= 0 && facts.open_files < kLeastOpenFiles;
  });
  const std::string locked = who(ranks, [](const RankFacts& facts) {
    return facts.locked_bytes >= 0 && !facts.infiniband.empty();
  });
  if (!files.empty()) {
    return {FindingLevel::kWarning, "limits", fmt::format("{}; few open files: {}", detail, files),
            fmt::format("ulimit -n {} before the launcher, and for its daemons", kLeastOpenFiles)};
  }
  if (!locked.empty()) {
    return {FindingLevel::kWarning, "limits",
            fmt::format("{}; InfiniBand registers memory by locking it: {}", detail, locked),
            "ulimit -l unlimited, in /etc/security/limits.conf and for the launcher's daemons"};
  }
  return ok("limits", detail);
}

Finding judge_variables(const std::vector<RankFacts>& ranks) {
  const auto text = [](const RankFacts& facts) {
    std::string joined;
    for (const std::string& variable : facts.variables) {
      joined += (joined.empty() ? "" : " ") + variable;
    }
    return joined.empty() ? "none set" : joined;
  };
  // Each rank may be shown GPUs of its own, and a host name where ranks share one.
  const auto shared = [](const RankFacts& facts) {
    std::string joined;
    for (const std::string& variable : facts.variables) {
      const bool own =
          variable.starts_with("CUDA_VISIBLE_DEVICES=") || variable.starts_with("NCCL_HOSTID=");
      if (!own) joined += variable + " ";
    }
    return joined;
  };
  if (!all_alike(ranks, shared)) {
    return {FindingLevel::kWarning, "variables", values_text(ranks, text),
            "the same NCCL and UCX settings on all hosts: mpirun -x NAME hands them on"};
  }
  return ok("variables", values_text(ranks, text));
}

Finding judge_folder(const std::vector<RankFacts>& ranks, const DoctorWishes& wishes) {
  if (!wishes.has_config) return ok("run folder", "not looked at: no CONFIG was named");
  const std::string failed =
      complaints_text(ranks, [](const RankFacts& facts) { return facts.write_error; });
  if (!failed.empty()) {
    return {FindingLevel::kError, "run folder", failed,
            "a folder that all hosts can write to: run.dir"};
  }
  double slowest = INFINITY;
  for (const RankFacts& facts : ranks) {
    if (facts.write_bytes_per_second > 0) slowest = std::min(slowest, facts.write_bytes_per_second);
  }
  const auto is_slowest = [&](const RankFacts& facts) {
    return facts.write_bytes_per_second == slowest;
  };
  const std::string detail = fmt::format("{}: {:.0f} MB/s by {}", wishes.run_folder, slowest / 1e6,
                                         who(ranks, is_slowest));
  if (slowest >= kLeastWriteSpeed) return ok("run folder", detail);
  return {FindingLevel::kWarning, "run folder", detail,
          fmt::format("a faster file system for checkpoints: at least {:.0f} MB/s a host",
                      kLeastWriteSpeed / 1e6)};
}

Finding judge_data(const std::vector<RankFacts>& ranks, const DoctorWishes& wishes) {
  if (!wishes.has_config) return ok("data", "not looked at: no CONFIG was named");
  const std::string failed =
      complaints_text(ranks, [](const RankFacts& facts) { return facts.data_error; });
  if (failed.empty()) return ok("data", "all sources open, on all ranks");
  return {FindingLevel::kError, "data", failed,
          "the same path must lead to the same files on every host"};
}

}  // namespace

std::vector<Finding> judge_facts(const std::vector<RankFacts>& ranks, const DoctorWishes& wishes) {
  return {judge_launch(ranks),       judge_program(ranks),        judge_cores(ranks),
          judge_gpus(ranks, wishes), judge_cuda(ranks),           judge_mpi(ranks),
          judge_network(ranks),      judge_shared_memory(ranks),  judge_limits(ranks),
          judge_variables(ranks),    judge_folder(ranks, wishes), judge_data(ranks, wishes)};
}

}  // namespace phalanx
