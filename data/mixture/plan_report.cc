#include "data/mixture/plan_report.h"

#include "data/mixture/caps.h"

namespace phalanx {
namespace {

int64_t step_holding(const MixturePlan& plan, int64_t row) {
  for (const StepSpan& span : plan.steps) {
    if (row < span.end_row) return span.first_step + (row - span.first_row) / span.rows_per_step;
  }
  return plan.end_step();
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
  return report;
}

}  // namespace

PlanReport describe_plan(const MixturePlan& plan) {
  PlanReport report;
  for (size_t k = 0; k < plan.num_sources(); ++k) {
    SourceReport source{plan.sources[k].name, plan.curriculum.sources[k].kind, 0, 0, 0, 0.0};
    const auto taken = plan.start.taken.find(source.name);
    if (taken != plan.start.taken.end()) {
      for (const auto& [length, rows] : taken->second) source.tokens_before += rows * length;
    }
    const auto epoch_tokens = static_cast<double>(plan.sources[k].rows_by_stage[0]) *
                              static_cast<double>(plan.curriculum.stages[0].sequence_length);
    source.epochs = static_cast<double>(source.tokens_before) / epoch_tokens;
    report.sources.push_back(source);
  }
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
  report.num_steps = plan.end_step() - plan.start.step;
  return report;
}

std::string phase_name(const MixturePlan& plan, int64_t row) {
  const int32_t index = plan.blocks[static_cast<size_t>(plan.find_block(row))].phase;
  const PlanPhase& phase = plan.phases[static_cast<size_t>(index)];
  const CurriculumStage& stage = plan.curriculum.stages[static_cast<size_t>(phase.stage)];
  return stage.name + "/" + stage.phases[static_cast<size_t>(phase.phase)].name;
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
