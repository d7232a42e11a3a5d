#include "data/mixture/plan_report.h"

#include <algorithm>
#include <map>

#include "data/mixture/block_draw.h"
#include "data/mixture/caps.h"

namespace phalanx {
namespace {

int64_t step_holding(const MixturePlan& plan, int64_t row) {
  for (const StepSpan& span : plan.steps) {
    if (row < span.end_row) return span.first_step + (row - span.first_row) / span.rows_per_step;
  }
  return plan.end_step();
}

/// The draws of blocks, each made once.
class DrawnBlocks {
 public:
  explicit DrawnBlocks(const MixturePlan& plan) : plan_(plan) {}

  int64_t first_row(int64_t block, size_t source) {
    const std::vector<uint16_t>& draws = draws_of(block);
    return row_at(block, std::find(draws.begin(), draws.end(), source) - draws.begin());
  }
  int64_t last_row(int64_t block, size_t source) {
    const std::vector<uint16_t>& draws = draws_of(block);
    return row_at(block, draws.rend() - std::find(draws.rbegin(), draws.rend(), source) - 1);
  }

 private:
  const std::vector<uint16_t>& draws_of(int64_t block) {
    const auto [found, added] = drawn_.try_emplace(block);
    if (added) {
      std::vector<int64_t> counts(plan_.num_sources());
      for (size_t k = 0; k < counts.size(); ++k) counts[k] = plan_.rows_in_block(block, k);
      found->second = draw_block(counts);
    }
    return found->second;
  }
  int64_t row_at(int64_t block, int64_t place) const {
    return plan_.blocks[static_cast<size_t>(block)].first_row + place;
  }

  const MixturePlan& plan_;
  std::map<int64_t, std::vector<uint16_t>> drawn_;
};

void find_steps(const MixturePlan& plan, const PlanPhase& phase, PhaseReport& report) {
  DrawnBlocks drawn(plan);
  for (size_t k = 0; k < plan.num_sources(); ++k) {
    PhaseShare& share = report.sources[k];
    if (share.rows == 0) continue;
    int64_t first = phase.first_block;
    int64_t last = phase.end_block - 1;
    while (plan.rows_in_block(first, k) == 0) ++first;
    while (plan.rows_in_block(last, k) == 0) --last;
    share.first_step = step_holding(plan, drawn.first_row(first, k));
    share.last_step = step_holding(plan, drawn.last_row(last, k));
  }
}

PhaseReport describe_phase(const MixturePlan& plan, const PlanPhase& phase) {
  const auto s = static_cast<size_t>(phase.stage);
  const CurriculumStage& stage = plan.curriculum.stages[s];
  const CurriculumPhase& config = stage.phases[static_cast<size_t>(phase.phase)];
  PhaseReport report{config.path,
                     stage.name,
                     config.name,
                     stage.sequence_length,
                     phase.first_row,
                     phase.end_row,
                     (phase.end_row - phase.first_row) * stage.sequence_length,
                     step_holding(plan, phase.first_row),
                     step_holding(plan, phase.end_row - 1),
                     {}};
  for (size_t k = 0; k < plan.num_sources(); ++k) {
    PhaseShare share;
    share.rows = plan.prefix_at(phase.end_block)[k] - plan.prefix_at(phase.first_block)[k];
    share.tokens = share.rows * stage.sequence_length;
    share.share =
        static_cast<double>(share.rows) / static_cast<double>(phase.end_row - phase.first_row);
    const auto epoch_rows = static_cast<double>(plan.sources[k].rows_by_stage[s]);
    const int64_t before = plan.stream_draws(phase.first_block, k);
    share.first_epoch = static_cast<double>(before) / epoch_rows;
    share.end_epoch = static_cast<double>(before + share.rows) / epoch_rows;
    report.sources.push_back(share);
  }
  find_steps(plan, phase, report);
  return report;
}

SourceReport begin_source(const MixturePlan& plan, size_t k) {
  const CurriculumSource& config = plan.curriculum.sources[k];
  SourceReport source{config.name, config.kind};
  const auto taken = plan.start.taken.find(source.name);
  if (taken != plan.start.taken.end()) {
    for (const auto& [length, rows] : taken->second) source.tokens_before += rows * length;
  }
  source.epoch_tokens =
      plan.sources[k].rows_by_stage[0] * plan.curriculum.stages[0].sequence_length;
  source.epochs =
      static_cast<double>(source.tokens_before) / static_cast<double>(source.epoch_tokens);
  source.max_epochs = static_cast<double>(config.max_epochs_millionths.value_or(1'000'000)) / 1e6;
  return source;
}

ExhaustionReport describe_exhaustion(const MixturePlan& plan, const Exhaustion& event) {
  return {plan.sources[static_cast<size_t>(event.source)].name, phase_name(plan, event.row),
          step_holding(plan, event.row), tokens_before(plan, event.row)};
}

}  // namespace

PlanReport describe_plan(const MixturePlan& plan) {
  PlanReport report;
  for (size_t k = 0; k < plan.num_sources(); ++k) report.sources.push_back(begin_source(plan, k));
  for (const PlanPhase& phase : plan.phases) {
    report.phases.push_back(describe_phase(plan, phase));
    const PhaseReport& described = report.phases.back();
    report.tokens += described.tokens;
    for (size_t k = 0; k < plan.num_sources(); ++k) {
      report.sources[k].tokens += described.sources[k].tokens;
      report.sources[k].epochs += described.sources[k].end_epoch - described.sources[k].first_epoch;
    }
  }
  for (const Repeat& repeat : repeats(plan))
    report.sources[repeat.source].repeat_tokens += repeat.tokens;
  for (const Exhaustion& event : plan.exhausted) {
    report.exhausted.push_back(describe_exhaustion(plan, event));
  }
  report.num_steps = plan.end_step() - plan.start.step;
  return report;
}

int64_t tokens_before(const MixturePlan& plan, int64_t row) {
  int64_t tokens = 0;
  for (const PlanPhase& phase : plan.phases) {
    const auto stage = static_cast<size_t>(phase.stage);
    const int64_t rows = std::clamp(row, phase.first_row, phase.end_row) - phase.first_row;
    tokens += rows * plan.curriculum.stages[stage].sequence_length;
  }
  return tokens;
}

std::string phase_name(const MixturePlan& plan, int64_t row) {
  const int32_t index = plan.blocks[static_cast<size_t>(plan.find_block(row))].phase;
  const PlanPhase& phase = plan.phases[static_cast<size_t>(index)];
  const CurriculumStage& stage = plan.curriculum.stages[static_cast<size_t>(phase.stage)];
  return stage.name + "/" + stage.phases[static_cast<size_t>(phase.phase)].name;
}

std::vector<double> epochs_of(const MixturePlan& plan, const StreamCounts& taken) {
  std::vector<double> epochs(plan.num_sources(), 0.0);
  for (size_t k = 0; k < epochs.size(); ++k) {
    const auto streams = taken.find(plan.sources[k].name);
    if (streams == taken.end()) continue;
    for (const auto& [length, rows] : streams->second) {
      for (size_t s = 0; s < plan.curriculum.stages.size(); ++s) {
        if (plan.curriculum.stages[s].sequence_length != length) continue;
        epochs[k] +=
            static_cast<double>(rows) / static_cast<double>(plan.sources[k].rows_by_stage[s]);
        break;
      }
    }
  }
  return epochs;
}

std::vector<int64_t> planned_rows(const MixturePlan& plan, int64_t row) {
  int64_t index = static_cast<int64_t>(plan.blocks.size());
  if (row < plan.end_row()) index = plan.find_block(row);
  const auto before = plan.prefix_at(index);
  std::vector<int64_t> rows(before.begin(), before.end());
  if (row >= plan.end_row()) return rows;
  const PlanBlock& block = plan.blocks[static_cast<size_t>(index)];
  for (size_t k = 0; k < rows.size(); ++k) {
    rows[k] += (row - block.first_row) * plan.rows_in_block(index, k) / block.num_rows;
  }
  return rows;
}

}  // namespace phalanx
