#include "launch/memory_check.h"

#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "configs/gpu_table.h"
#include "launch/counted.h"
#include "launch/host_memory.h"
#include "launch/resource_text.h"
#include "parallel/agreement.h"
#include "parallel/nccl_communicator.h"

namespace phalanx {
namespace {

constexpr int64_t kNoGpu = -1;

SearchLimits free_memory(const RunConfig& config, const Session& session) {
  const int64_t host = available_host_memory() / session.local_size();
  if (config.parallel.device == DeviceKind::kCpu) return {host};
  if (session.device_index() >= num_cuda_devices()) return {kNoGpu, host};
  return {free_device_memory(session.device_index()) / session.ranks_of_device(), host};
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

/// The total of `phalanx plan` has the runtime in it, this one has not, since a process that asks
/// what is free holds it already.
std::string planned_text(const MemoryPlan& plan, int64_t runtime_bytes) {
  return fmt::format(
      "memory of a rank: {} by plan, besides the {} of runtime that phalanx plan adds",
      size_text(double(plan.total())), size_text(double(runtime_bytes)));
}

std::string found_text(const MemoryPlan& plan, int64_t runtime_bytes, const SearchLimits& free) {
  std::string text = fmt::format("{}; {} free", planned_text(plan, runtime_bytes),
                                 size_text(double(free.memory_bytes)));
  if (plan.host > 0) {
    text += fmt::format("; on the host {} by plan, {} free", size_text(double(plan.host)),
                        size_text(double(free.host_bytes)));
  }
  return text;
}

/// Overrides with which the run would fit on its ranks, and what a rank needs then.
std::string fitting_text(const PlanInput& input, const Accelerator& accelerator,
                         const SearchLimits& free) {
  const int64_t ranks = input.mesh.num_ranks();
  Accelerator here = accelerator;
  here.memory_bytes = free.memory_bytes;
  const SearchLimits limits{usable_memory(here), free.host_bytes};
  const auto would_fit = [&](const MeshCandidate& best, const std::string& kept) {
    return fmt::format("on {} this would fit, with {}: {}{}", counted(ranks, "rank"),
                       size_text(double(best.memory.total())), kept, overrides_text(best.input));
  };
  const MeshSearch search = search_meshes(input, here, limits);
  if (!search.fitting.empty()) return would_fit(search.fitting.front(), "");
  for (const StateResult& result : search_states(input, here, limits)) {
    if (result.best) return would_fit(*result.best, result.choice.overrides + " ");
  }
  return fmt::format("no mesh of {} would fit: take more ranks, shorter rows or a smaller model",
                     counted(ranks, "rank"));
}

}  // namespace

std::string memory_refusal(const PlanInput& input, const Accelerator& accelerator,
                           const SearchLimits& free) {
  const MemoryPlan plan = plan_memory(input, accelerator);
  if (free.hold(plan)) return "";
  std::string needs = fmt::format("at most the {} that a rank finds free, needs {} by plan ({})",
                                  size_text(double(free.memory_bytes)),
                                  size_text(double(plan.total())), parts_text(plan));
  if (plan.total() <= free.memory_bytes) {
    needs = fmt::format(
        "at most the {} that a rank finds free on the host, needs {} there by plan (masters and "
        "moments with optimizer.offload, the copy that is saved with checkpoint.asynchronous)",
        size_text(double(free.host_bytes)), size_text(double(plan.host)));
  }
  return fmt::format("memory: expected {}; {} (--ignore-memory-plan: start all the same)", needs,
                     fitting_text(input, accelerator, free));
}

std::string check_memory(const RunConfig& config, const std::string& config_dir, int64_t num_ranks,
                         Session& session, bool refuse) {
  Communicator& control = session.control();
  const SearchLimits mine = together(control, [&] { return free_memory(config, session); });
  const SearchLimits free{least_of_all(mine.memory_bytes, control),
                          least_of_all(mine.host_bytes, control)};
  return together(control, [&]() -> std::string {
    const bool cuda = config.parallel.device == DeviceKind::kCuda;
    Accelerator accelerator =
        find_gpu(read_gpu_table({config_dir + "/gpus.yaml"}), cuda ? "h100" : "cpu");
    // This process has it already: a GPU's context, libraries.
    const int64_t runtime_bytes = std::exchange(accelerator.runtime_bytes, 0);
    const PlanInput input = plan_input(config, num_ranks);
    if (free.memory_bytes == kNoGpu) {
      return planned_text(plan_memory(input, accelerator), runtime_bytes) +
             "; no GPU here to compare it with: phalanx plan --gpu KIND does";
    }
    const std::string refusal = memory_refusal(input, accelerator, free);
    if (!refusal.empty() && refuse) throw std::invalid_argument(refusal);
    if (!refusal.empty()) return "warning: " + refusal;
    return found_text(plan_memory(input, accelerator), runtime_bytes, free);
  });
}

}  // namespace phalanx
