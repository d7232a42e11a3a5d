#include "trainer/stage_runs.h"

#include <c10/util/Exception.h>

#include <algorithm>

namespace phalanx {

std::vector<StageRun> make_stage_runs(const RunConfig& config, const MixturePlan& plan,
                                      const std::map<std::string, int64_t>& stage_starts,
                                      at::Device device) {
  std::vector<StageRun> stages;
  for (size_t s = 0; s < config.stages.size(); ++s) {
    const StageConfig& stage = config.stages[s];
    int64_t first = -1, end = -1;
    for (const StepSpan& span : plan.steps) {
      if (span.stage != static_cast<int32_t>(s)) continue;
      if (first < 0) first = span.first_step;
      end = span.first_step + (span.end_row - span.first_row) / span.rows_per_step;
    }
    if (first < 0) continue;  // lies before a changed curriculum
    if (const auto known = stage_starts.find(stage.name); known != stage_starts.end()) {
      first = known->second;
    }
    const LrSchedule schedule(stage.learning_rate, end - first,
                              stage.global_batch_size * stage.sequence_length);
    const int64_t positions = std::max(stage.sequence_length, config.evaluation.sequence_length);
    stages.push_back(
        {stage.name, first, end, stage.micro_batch_size, schedule,
         RopeTable(stage.rope_theta, config.model.shape.head_dim,
                   std::max(positions, config.stages.front().sequence_length), device)});
  }
  return stages;
}

const StageRun& stage_of(const std::vector<StageRun>& stages, int64_t step) {
  for (const StageRun& stage : stages) {
    if (step < stage.end_step) return stage;
  }
  TORCH_INTERNAL_ASSERT(!stages.empty(), "a run without stages");
  return stages.back();
}

}  // namespace phalanx
