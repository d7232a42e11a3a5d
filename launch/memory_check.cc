#include "launch/memory_check.h"

#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <stdexcept>

#include "configs/gpu_table.h"
#include "launch/host_memory.h"
#include "launch/resource_text.h"
#include "parallel/agreement.h"
#include "parallel/nccl_communicator.h"

namespace phalanx {
namespace {

int64_t free_bytes_of(const RunConfig& config, const Session& session) {
  return config.parallel.device == DeviceKind::kCuda
             ? free_device_memory(session.device_index()) / session.ranks_of_device()
             : available_host_memory() / session.local_size();
}

int64_t least_of_all(int64_t mine, Communicator& control) {
  at::Tensor value = at::zeros({1}, at::kLong);
  *value.mutable_data_ptr<int64_t>() = -mine;
  control.all_reduce(value, ReduceOp::kMax)->wait();
  return -*value.const_data_ptr<int64_t>();
}

std::string parts_text(const MemoryPlan& plan) {
  std::string text;
  for (const MemoryCategory& category : plan.categories()) {
    if (category.bytes == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", category.name,
                        size_text(double(category.bytes)));
  }
  return text;
}

}  // namespace

std::string memory_refusal(const PlanInput& input, const Accelerator& accelerator,
                           int64_t free_bytes) {
  const MemoryPlan plan = plan_memory(input, accelerator);
  if (plan.total() <= free_bytes) return "";
  Accelerator here = accelerator;
  here.memory_bytes = free_bytes;
  const MeshSearch search = search_meshes(input, here, {usable_memory(here)});
  const int64_t ranks = input.mesh.num_ranks();
  std::string fitting = fmt::format(
      "no mesh of {} rank(s) would fit: take more ranks, shorter "
      "rows or a smaller model",
      ranks);
  if (!search.fitting.empty()) {
    const MeshCandidate& best = search.fitting.front();
    fitting = fmt::format("on {} rank(s) this would fit, with {}: {}", ranks,
                          size_text(double(best.memory.total())), overrides_text(best.input));
  }
  return fmt::format(
      "memory: expected at most the {} that a rank finds free, needs {} by plan ({}); {} "
      "(--ignore-memory-plan: start all the same)",
      size_text(double(free_bytes)), size_text(double(plan.total())), parts_text(plan), fitting);
}

std::string check_memory(const RunConfig& config, const std::string& config_dir, Session& session,
                         bool refuse) {
  Communicator& control = session.control();
  const int64_t free_bytes =
      least_of_all(together(control, [&] { return free_bytes_of(config, session); }), control);
  return together(control, [&]() -> std::string {
    const bool cuda = config.parallel.device == DeviceKind::kCuda;
    Accelerator accelerator =
        find_gpu(read_gpu_table({config_dir + "/gpus.yaml"}), cuda ? "h100" : "cpu");
    if (!cuda) accelerator.runtime_bytes = 0;  // this process has it already
    const PlanInput input = plan_input(config, session.size());
    const std::string refusal = memory_refusal(input, accelerator, free_bytes);
    if (!refusal.empty() && refuse) throw std::invalid_argument(refusal);
    if (!refusal.empty()) return "warning: " + refusal;
    return fmt::format("memory of a rank: {} by plan, {} free",
                       size_text(double(plan_memory(input, accelerator).total())),
                       size_text(double(free_bytes)));
  });
}

}  // namespace phalanx
