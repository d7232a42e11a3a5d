#pragma once
// A whole run by counting: memory, steps and their time, days and GPU-hours of the token budget,
// checkpoints. Pure arithmetic, local. Assumptions: those of memory_plan.h and step_plan.h; a
// checkpoint stops training while it is written and read back once, all ranks of a node through the
// node's storage_bandwidth.
#include <cstdint>
#include <vector>

#include "trainer/planner/memory_plan.h"
#include "trainer/planner/step_plan.h"

namespace phalanx {

struct SpanPlan {
  WorkSpan span;
  StepPlan step;
  double num_steps = 0;  // 0: the budget is not known
  double seconds() const { return num_steps * step.seconds; }
};

struct SavePlan {
  double bytes = 0;          // of one checkpoint, all ranks: masters and two moments
  double stall_seconds = 0;  // that training waits for one
  double count = 0;          // over the run, by the configured interval; 0: not known
};

struct RunPlan {
  PlanInput input;
  MemoryPlan memory;  // of the span that needs most
  std::vector<SpanPlan> spans;
  SavePlan saves;
  double seconds = 0;  // steps and saves; 0: the budget is not known
  double tokens = 0;

  double days() const { return seconds / 86400; }
  double rank_hours() const { return seconds / 3600 * double(input.mesh.num_ranks()); }
  double mfu() const;  // over the run, time of saves included; of the first span without a budget
};

RunPlan plan_run_resources(const PlanInput& input, const Accelerator& accelerator);

}  // namespace phalanx
