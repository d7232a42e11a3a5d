#include "trainer/stage_steps.h"

#include "data/mixture/step_grid.h"

namespace phalanx {

std::vector<StageSteps> steps_of(const StageConfig& stage) {
  Curriculum curriculum;
  curriculum.stages.emplace_back();
  CurriculumStage& only = curriculum.stages.back();
  only.sequence_length = stage.sequence_length;
  only.global_batch_size = stage.global_batch_size;
  only.batch_ramp = stage.batch_ramp;
  for (const PhaseConfig& phase : stage.phases) {
    only.phases.emplace_back();
    only.phases.back().tokens = phase.tokens;
  }
  std::vector<StageSteps> steps;
  for (const StepSpan& span : make_step_grid(curriculum, 0, 0).steps) {
    steps.push_back({span.first_row, span.end_row, span.rows_per_step});
  }
  return steps;
}

}  // namespace phalanx
