#include "trainer/planner/run_plan.h"

#include <algorithm>
#include <cmath>

namespace phalanx {
namespace {

double saves_in(const PlanInput& input, double seconds, double steps, double tokens) {
  if (input.seconds_between_saves > 0) return seconds / input.seconds_between_saves;
  if (input.tokens_between_saves > 0) return tokens / double(input.tokens_between_saves);
  if (input.steps_between_saves > 0) return steps / double(input.steps_between_saves);
  return 0;
}

SavePlan plan_saves(const PlanInput& input, const Accelerator& accelerator) {
  SavePlan saves;
  const StateBytes& state = input.state;
  const int64_t master = state.master > 0 ? state.master : state.weight;
  saves.bytes = double(num_parameters(input.shape)) * double(master + 2 * state.moment);
  const double nodes =
      std::ceil(double(input.mesh.num_ranks()) / double(accelerator.ranks_per_node));
  saves.stall_seconds = 2 * saves.bytes / (nodes * accelerator.storage_bandwidth);
  if (input.asynchronous_saves) {
    saves.stall_seconds =
        saves.bytes / (double(input.mesh.num_ranks()) * accelerator.host_bandwidth);
  }
  return saves;
}

}  // namespace

double RunPlan::mfu() const {
  if (seconds == 0) return spans.empty() ? 0 : spans.front().step.mfu;
  double of_peak = 0;  // seconds that the peak would take
  for (const SpanPlan& span : spans) of_peak += span.seconds() * span.step.mfu;
  return of_peak / seconds;
}

RunPlan plan_run_resources(const PlanInput& input, const Accelerator& accelerator) {
  RunPlan plan;
  plan.input = input;
  plan.memory = plan_memory(input, accelerator);
  plan.saves = plan_saves(input, accelerator);
  double steps = 0;
  for (const WorkSpan& span : input.spans) {
    SpanPlan part{span, plan_step(input, span, accelerator), 0};
    part.num_steps = std::ceil(double(span.tokens) / double(span.tokens_per_step()));
    plan.seconds += part.seconds();
    plan.tokens += double(span.tokens);
    steps += part.num_steps;
    plan.spans.push_back(part);
  }
  if (plan.seconds > 0) {
    plan.saves.count = std::max(1.0, std::ceil(saves_in(input, plan.seconds, steps, plan.tokens)));
    plan.seconds += plan.saves.count * plan.saves.stall_seconds;
  }
  return plan;
}

}  // namespace phalanx
