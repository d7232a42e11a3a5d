#include "launch/dry_run_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "configs/gpu_table.h"
#include "launch/counted.h"
#include "launch/launchers/launch_request.h"
#include "trainer/planner/plan_input.h"

namespace phalanx {
namespace {

/// A host of GPUs holds as many ranks as the table says of the kind that memory is planned for.
int64_t ranks_of_host(const RunConfig& config, const TrainArguments& arguments) {
  if (config.parallel.device == DeviceKind::kCpu) return arguments.planned_ranks;
  const GpuTable table = read_gpu_table({arguments.request.config_dir + "/gpus.yaml"});
  int64_t ranks = std::min(find_gpu(table, "h100").ranks_per_node, arguments.planned_ranks);
  while (arguments.planned_ranks % ranks != 0) --ranks;  // as many as all hosts can hold alike
  return ranks;
}

std::string launch_line(const TrainArguments& arguments, const std::string& target, int64_t nodes,
                        int64_t ranks, const std::vector<std::string>& more) {
  std::vector<std::string> words = {"phalanx", "launch", arguments.request.file};
  words.insert(words.end(), arguments.request.overrides.begin(), arguments.request.overrides.end());
  words.insert(words.end(), {"--on", target, "--nodes", std::to_string(nodes)});
  words.insert(words.end(), {"--ranks-per-node", std::to_string(ranks)});
  words.insert(words.end(), more.begin(), more.end());
  return "  " + shell_line(words) + "\n";
}

std::string launch_lines(const RunConfig& config, const TrainArguments& arguments) {
  const int64_t ranks = ranks_of_host(config, arguments);
  const int64_t nodes = arguments.planned_ranks / ranks;
  const std::vector<std::string> hosts =
      nodes > 1 ? std::vector<std::string>{"--hostfile", "HOSTS"} : std::vector<std::string>{};
  std::string text = fmt::format("launch lines for {} of {} (--print shows what they do):\n",
                                 counted(nodes, "host"), counted(ranks, "rank"));
  text += launch_line(arguments, "mpirun", nodes, ranks, hosts);
  text += launch_line(arguments, "slurm", nodes, ranks, {"--time", "24h"});
  text += launch_line(arguments, "kubeflow", nodes, ranks, {"--image", "IMAGE"});
  if (config.parallel.device == DeviceKind::kCuda) {
    text += launch_line(arguments, "torchrun", nodes, ranks, {"--print"});
  }
  return text;
}

}  // namespace

std::string batch_text(const RunConfig& config, int64_t num_ranks) {
  const PlanInput input = plan_input(config, num_ranks);
  std::string text, last;
  for (const WorkSpan& span : input.spans) {
    const std::string line = fmt::format(
        "batch of stage {}: {} = {} x {} x {}, {} tokens a step\n", span.stage,
        counted(span.rows_per_step, "row"), counted(input.mesh.data_parallel, "replica"),
        fmt::format("{} micro-batch{}", micro_batches_of_replica(input, span),
                    micro_batches_of_replica(input, span) == 1 ? "" : "es"),
        counted(span.micro_batch_size, "row"), span.tokens_per_step());
    if (line != last) text += line;
    last = line;
  }
  return text + fmt::format("ranks: {} = {} x {} tensor-parallel\n", input.mesh.num_ranks(),
                            counted(input.mesh.data_parallel, "replica"),
                            input.mesh.tensor_parallel);
}

std::string dry_run_text(const RunConfig& config, const TrainArguments& arguments) {
  return batch_text(config, arguments.planned_ranks) + launch_lines(config, arguments);
}

}  // namespace phalanx
