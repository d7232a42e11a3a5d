#include "launch/resource_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "trainer/metrics/progress_text.h"

namespace phalanx {
namespace {

constexpr size_t kShownMeshes = 12;

/// What the largest of several spans is called where they differ.
std::string span_title(const WorkSpan& span) {
  return fmt::format("{}: rows of {}, {} a step ({} tokens), {} a micro-batch", span.stage,
                     span.sequence_length, span.rows_per_step,
                     count_text(double(span.tokens_per_step())), span.micro_batch_size);
}

/// What the blocks keep under each mode, so that a choice needs no second plan.
std::string modes_text(const RunPlan& plan, const Accelerator& accelerator) {
  std::string text = "  activations by recompute mode:";
  PlanInput input = plan.input;
  for (const Recompute mode : {Recompute::kNone, Recompute::kSelective, Recompute::kFull}) {
    input.recompute = mode;
    text += fmt::format("{} {} {}", mode == Recompute::kNone ? "" : ",", recompute_name(mode),
                        size_text(double(plan_memory(input, accelerator).activations)));
  }
  return text + "\n";
}

std::string part_text(const char* name, double seconds, double step) {
  return fmt::format("  {:<28} {:>10.4f} s {:>6.1f} %\n", name, seconds, 100 * seconds / step);
}

std::string collectives_text(const StepPlan& step) {
  if (step.collectives.empty()) return "";
  std::string text = fmt::format("  {:<30} {:<5} {:<8} {:>8} {:>14} {:>11} {:>11}\n", "collective",
                                 "axis", "link", "calls", "sent a rank", "time", "exposed");
  for (const Collective& c : step.collectives) {
    text +=
        fmt::format("  {:<30} {:<5} {:<8} {:>8.0f} {:>14} {:>9.4f} s {:>9.4f} s\n", c.name, c.axis,
                    c.link.name, c.calls, size_text(c.bytes), c.seconds, c.exposed_seconds);
  }
  return text;
}

std::string step_text(const SpanPlan& span) {
  const StepPlan& step = span.step;
  std::string text = fmt::format("step of {}\n", span_title(span.span));
  text += part_text("matrix products", step.gemm_seconds, step.seconds);
  text += part_text("attention", step.attention_seconds, step.seconds);
  text += part_text("elementwise", step.elementwise_seconds, step.seconds);
  text += part_text("loss", step.loss_seconds, step.seconds);
  text += part_text("exposed collectives", step.exposed_seconds(), step.seconds);
  text += part_text("optimizer", step.optimizer_seconds, step.seconds);
  if (step.waiting_seconds > 0) {
    text += part_text("waiting for other nodes", step.waiting_seconds, step.seconds);
  }
  text += fmt::format("  {:<28} {:>10.4f} s  {} tokens/s, MFU {:.1f} % of {:.3g} FLOPs\n", "in all",
                      step.seconds, count_text(step.tokens_per_second), 100 * step.mfu, step.flops);
  return text + collectives_text(step);
}

std::string budget_text(const RunPlan& plan, const Accelerator& accelerator) {
  std::string text = fmt::format("checkpoint: {} in all, training waits {:.1f} s for one\n",
                                 size_text(plan.saves.bytes), plan.saves.stall_seconds);
  if (plan.seconds == 0) return text;
  const bool cuda = accelerator.device == DeviceKind::kCuda;
  double steps = 0;
  for (const SpanPlan& span : plan.spans) steps += span.num_steps;
  return text + fmt::format(
                    "run: {} tokens in {:.0f} steps and {:.0f} checkpoint{}, {}, {:.2f} "
                    "days, {:.1f} {}-hours, MFU {:.1f} %\n",
                    count_text(plan.tokens), steps, plan.saves.count,
                    plan.saves.count == 1 ? "" : "s", duration_text(plan.seconds), plan.days(),
                    plan.rank_hours(), cuda ? "GPU" : "rank", 100 * plan.mfu());
}

/// Sizes that are out for the same reason share a line.
std::string refused_text(const MeshSearch& search) {
  std::vector<std::pair<std::string, std::string>> lines;  // reason, sizes
  for (const RefusedMesh& mesh : search.refused) {
    const auto found = std::find_if(lines.begin(), lines.end(),
                                    [&](const auto& line) { return line.first == mesh.reason; });
    const std::string size = std::to_string(mesh.tensor_parallel_size);
    if (found == lines.end()) {
      lines.emplace_back(mesh.reason, size);
    } else {
      found->second += ", " + size;
    }
  }
  std::string text;
  for (const auto& [reason, sizes] : lines) text += fmt::format("  not tp {}: {}\n", sizes, reason);
  return text;
}

}  // namespace

std::string size_text(double bytes) {
  constexpr double kMiB = 1 << 20;
  const bool small = bytes < 100 * kMiB;
  return fmt::format("{:.2f} {}", small ? bytes / kMiB : bytes / (1024 * kMiB),
                     small ? "MiB" : "GiB");
}

std::string memory_text(const MemoryPlan& memory, int64_t available, int64_t limit) {
  std::string text;
  for (const MemoryCategory& category : memory.categories()) {
    text += fmt::format("  {:<16} {:>14}\n", category.name, size_text(double(category.bytes)));
  }
  text += fmt::format(
      "  {:<16} {:>14}  of {}: {} (logits and workspace take turns: the larger counts)\n", "total",
      size_text(double(memory.total())), size_text(double(available)),
      memory.total() <= limit ? "fits" : "does not fit");
  if (memory.host > 0) {
    text += fmt::format("  {:<16} {:>14}  of the host\n", "on the host",
                        size_text(double(memory.host)));
  }
  return text;
}

std::string resource_text(const RunPlan& plan, const Accelerator& accelerator) {
  const int64_t limit = usable_memory(accelerator);
  std::string text = fmt::format("memory of a rank, {}\n", accelerator.name);
  text += memory_text(plan.memory, accelerator.memory_bytes, limit);
  text += fmt::format(
      "  it fits up to {} %, {}: allocators round up. {} is what the kind {} has, not this "
      "machine;\n  train compares the total, without runtime, with what is free where it runs\n",
      std::lround(100.0 * double(limit) / double(accelerator.memory_bytes)),
      size_text(double(limit)), size_text(double(accelerator.memory_bytes)), accelerator.name);
  text += modes_text(plan, accelerator);
  for (const SpanPlan& span : plan.spans) text += step_text(span);
  return text + budget_text(plan, accelerator);
}

std::string search_text(const MeshSearch& search, const Accelerator& accelerator) {
  std::string text =
      fmt::format("{} of {} tried meshes fit in {} of a rank's {}, {}\n", search.fitting.size(),
                  search.num_tried, size_text(double(usable_memory(accelerator))),
                  size_text(double(accelerator.memory_bytes)), accelerator.name);
  if (!search.fitting.empty()) {
    text += fmt::format("  {:>4} {:>6} {:>6}  {:<10} {:>11} {:>11} {:>7}\n", "tp", "dp", "micro",
                        "recompute", "memory", "tokens/s", "MFU");
  }
  for (size_t i = 0; i < std::min(kShownMeshes, search.fitting.size()); ++i) {
    const MeshCandidate& mesh = search.fitting[i];
    text += fmt::format(
        "  {:>4} {:>6} {:>6}  {:<10} {:>11} {:>11} {:>5.1f} %\n", mesh.input.mesh.tensor_parallel,
        mesh.input.mesh.data_parallel, mesh.input.spans.front().micro_batch_size,
        recompute_name(mesh.input.recompute), size_text(double(mesh.memory.total())),
        count_text(mesh.tokens_per_second), 100 * mesh.mfu);
  }
  if (!search.fitting.empty()) {
    text += fmt::format("best: {}\n", overrides_text(search.fitting.front().input));
  }
  return text + refused_text(search);
}

std::string states_text(const std::vector<StateResult>& states) {
  std::string text = "with gradients and optimizer kept as\n";
  for (const StateResult& result : states) {
    if (result.best) {
      const PlanInput& input = result.best->input;
      text += fmt::format("  {:<58} fits: {}, tp {}, recompute {}, {} tokens/s\n",
                          result.choice.overrides, size_text(double(result.best->memory.total())),
                          input.mesh.tensor_parallel, recompute_name(input.recompute),
                          count_text(result.best->tokens_per_second));
    } else {
      text += fmt::format("  {:<58} needs at least {}\n", result.choice.overrides,
                          size_text(double(result.least_bytes)));
    }
  }
  return text;
}

}  // namespace phalanx
