#include "trainer/step_marks.h"

namespace phalanx {
namespace {

/// Over all sequence lengths, padding included.
int64_t tokens_given(const Cursor& cursor, const std::string& source) {
  int64_t tokens = 0;
  const auto streams = cursor.taken.find(source);
  if (streams == cursor.taken.end()) return tokens;
  for (const auto& [length, rows] : streams->second) tokens += length * rows;
  return tokens;
}

}  // namespace

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

void count_sources(const std::vector<std::string>& sources, const Cursor& before,
                   const Cursor& after, StepRecord& record) {
  for (const std::string& source : sources) {
    record.source_total_tokens.push_back(tokens_given(after, source));
    record.source_tokens.push_back(record.source_total_tokens.back() -
                                   tokens_given(before, source));
  }
}

}  // namespace phalanx
