#include "trainer/step_marks.h"

#include <chrono>

#include "data/mixture/plan_curve.h"
#include "data/mixture/plan_report.h"
#include "trainer/stage_runs.h"

namespace phalanx {

void note_place(const MixturePlan& plan, const TrainState& state, const Phi4Config& model,
                int64_t sequence_length, StepRecord& record) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  record.step = state.step;
  record.num_steps = plan.end_step();
  record.tokens = state.tokens;
  record.num_tokens = state.tokens + tokens_from(plan, state.step);
  record.attempt = state.attempt;
  record.flops = double(record.step_tokens) * flops_per_token(model, sequence_length);
  record.unix_seconds = std::chrono::duration<double>(now).count();
}

int64_t tokens_given(const Cursor& cursor, const std::string& source) {
  int64_t tokens = 0;
  const auto streams = cursor.taken.find(source);
  if (streams == cursor.taken.end()) return tokens;
  for (const auto& [length, rows] : streams->second) tokens += length * rows;
  return tokens;
}

bool ends_phase(const MixturePlan& plan, int64_t num_steps) {
  const StepRange range = plan.step_rows(num_steps - 1);
  const int64_t end_row = range.first_row + range.num_rows;
  for (const PlanPhase& phase : plan.phases) {
    if (range.first_row < phase.end_row && phase.end_row <= end_row) return true;
  }
  return false;
}

bool crosses(const Duration& interval, const TrainState& state, int64_t tokens_before) {
  if (interval.count == 0) return false;
  if (interval.unit == Duration::Unit::kSteps) return state.step % interval.count == 0;
  return state.tokens / interval.count > tokens_before / interval.count;
}

void count_sources(const MixturePlan& plan, const Cursor& before, const Cursor& after,
                   StepRecord& record) {
  for (const SourceInfo& source : plan.sources) {
    record.source_total_tokens.push_back(tokens_given(after, source.name));
    record.source_tokens.push_back(record.source_total_tokens.back() -
                                   tokens_given(before, source.name));
  }
  record.source_epochs = epochs_of(plan, after.taken);
  record.source_weights = wanted_rows(plan, before.row, after.row);
  for (double& weight : record.source_weights) {
    weight /= static_cast<double>(after.row - before.row);
  }
}

}  // namespace phalanx
