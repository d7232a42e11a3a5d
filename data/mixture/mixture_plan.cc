#include "data/mixture/mixture_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace phalanx {

int64_t MixturePlan::end_step() const {
  if (steps.empty()) return start.step;
  const StepSpan& last = steps.back();
  return last.first_step + (last.end_row - last.first_row) / last.rows_per_step;
}

int64_t MixturePlan::find_block(int64_t row) const {
  if (row < first_row() || row >= end_row()) {
    throw std::invalid_argument(
        fmt::format("row: expected {} to {}, found {}", first_row(), end_row() - 1, row));
  }
  auto after =
      std::upper_bound(blocks.begin(), blocks.end(), row,
                       [](int64_t value, const PlanBlock& b) { return value < b.first_row; });
  return after - blocks.begin() - 1;
}

std::span<const int64_t> MixturePlan::prefix_at(int64_t block) const {
  return {prefix.data() + static_cast<size_t>(block) * num_sources(), num_sources()};
}

int64_t MixturePlan::rows_in_block(int64_t block, size_t source) const {
  return prefix_at(block + 1)[source] - prefix_at(block)[source];
}

int64_t MixturePlan::stream_draws(int64_t block, size_t source) const {
  const PlanPhase& phase = phases[static_cast<size_t>(blocks[static_cast<size_t>(block)].phase)];
  const auto stage = static_cast<size_t>(phase.stage);
  return stream_base[stage][source] + prefix_at(block)[source] -
         prefix_at(stage_first_block[stage])[source];
}

StepRange MixturePlan::step_rows(int64_t step) const {
  if (step < start.step || step >= end_step()) {
    throw std::invalid_argument(
        fmt::format("step: expected {} to {}, found {}", start.step, end_step() - 1, step));
  }
  auto after =
      std::upper_bound(steps.begin(), steps.end(), step,
                       [](int64_t value, const StepSpan& s) { return value < s.first_step; });
  const StepSpan& span = *(after - 1);
  const int64_t row = span.first_row + (step - span.first_step) * span.rows_per_step;
  return {row, span.rows_per_step, span.stage};
}

int64_t MixturePlan::step_at(int64_t row) const {
  if (row == end_row()) return end_step();
  for (const StepSpan& span : steps) {
    if (row < span.first_row || row >= span.end_row) continue;
    if ((row - span.first_row) % span.rows_per_step != 0) {
      throw std::invalid_argument(
          fmt::format("row {}: expected the first row of a step of {} rows from row {}, found one "
                      "inside a step",
                      row, span.rows_per_step, span.first_row));
    }
    return span.first_step + (row - span.first_row) / span.rows_per_step;
  }
  throw std::invalid_argument(
      fmt::format("row: expected {} to {}, found {}", first_row(), end_row(), row));
}

}  // namespace phalanx
