#include "data/mixture/step_grid.h"

#include <algorithm>

namespace phalanx {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b != 0); }

// The spans of one stage, dropping what lies before `start_row`. Returns the stage's end.
int64_t add_stage(const CurriculumStage& stage, int32_t index, int64_t stage_row, int64_t start_row,
                  int64_t& step, std::vector<StepSpan>& steps) {
  int64_t tokens = 0;
  for (const CurriculumPhase& phase : stage.phases) tokens += phase.tokens;
  const int64_t stage_end = stage_row + ceil_div(tokens, stage.sequence_length);
  int64_t batch = stage.global_batch_size;
  int64_t row = stage_row;
  for (size_t i = 0; i <= stage.batch_ramp.size() && row < stage_end; ++i) {
    int64_t end = stage_end;
    if (i < stage.batch_ramp.size()) {
      end = std::min(end,
                     stage_row + ceil_div(stage.batch_ramp[i].from_tokens, stage.sequence_length));
    }
    if (row < start_row && end > start_row) row = start_row;
    if (end > row) {
      end = row + ceil_div(end - row, batch) * batch;
      if (row < start_row && end > start_row) {
        end = start_row;  // only the rounding of an older, larger batch lay past the start
      } else if (end > start_row) {
        steps.push_back({index, step, row, end, batch});
        step += (end - row) / batch;
      }
      row = end;
    }
    if (i < stage.batch_ramp.size()) batch = stage.batch_ramp[i].global_batch_size;
  }
  return row;
}

}  // namespace

StepGrid make_step_grid(const Curriculum& curriculum, int64_t start_row, int64_t start_step) {
  StepGrid grid;
  int64_t row = 0;
  for (size_t s = 0; s < curriculum.stages.size(); ++s) {
    const CurriculumStage& stage = curriculum.stages[s];
    const int64_t stage_end =
        add_stage(stage, static_cast<int32_t>(s), row, start_row, start_step, grid.steps);
    int64_t tokens = 0;
    int64_t first = row;
    for (size_t p = 0; p < stage.phases.size(); ++p) {
      tokens += stage.phases[p].tokens;
      const bool last = p + 1 == stage.phases.size();
      const int64_t end = last ? stage_end : row + ceil_div(tokens, stage.sequence_length);
      grid.phases.push_back({static_cast<int32_t>(s), static_cast<int32_t>(p), first, end, 0, 0});
      first = end;
    }
    row = stage_end;
  }
  return grid;
}

}  // namespace phalanx
