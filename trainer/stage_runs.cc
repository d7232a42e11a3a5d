#include "trainer/stage_runs.h"

#include <c10/util/Exception.h>

#include <algorithm>

#include "data/mixture/step_grid.h"

namespace phalanx {
namespace {

std::vector<StepSpan> spans_of(const MixturePlan& plan, int32_t stage) {
  std::vector<StepSpan> spans;
  for (const StepSpan& span : plan.steps) {
    if (span.stage == stage) spans.push_back(span);
  }
  return spans;
}

int64_t end_step(const StepSpan& span) {
  return span.first_step + (span.end_row - span.first_row) / span.rows_per_step;
}

StageRun stage_run(const RunConfig& config, const StageConfig& stage, int64_t first_row,
                   int64_t last_step, std::vector<StageSteps> steps, at::Device device) {
  const int64_t evaluated = config.evaluation.sequence_length > 0
                                ? config.evaluation.sequence_length
                                : config.stages.front().sequence_length;
  const Phi4Config& model = config.model.shape;
  return {stage.name,
          first_row,
          last_step,
          stage.micro_batch_size,
          LrSchedule(stage.learning_rate, std::move(steps), stage.sequence_length),
          RopeTable(stage.rope_theta, model, stage.sequence_length, device),
          RopeTable(stage.rope_theta, model, evaluated, device)};
}

std::vector<StageSteps> steps_since(int64_t row, const StageConfig& stage,
                                    const std::vector<StepSpan>& spans) {
  std::vector<StageSteps> steps;
  const int64_t before = spans.front().first_row - row;
  for (const StageSteps& past : before > 0 ? steps_of(stage) : steps) {
    if (past.first_row >= before) break;
    steps.push_back({past.first_row, std::min(past.end_row, before), past.rows_per_step});
  }
  for (const StepSpan& span : spans) {
    steps.push_back({span.first_row - row, span.end_row - row, span.rows_per_step});
  }
  return steps;
}

}  // namespace

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

std::vector<StageRun> make_stage_runs(const RunConfig& config, const MixturePlan& plan,
                                      const std::map<std::string, int64_t>& stage_first_rows,
                                      at::Device device) {
  std::vector<StageRun> stages;
  for (size_t s = 0; s < config.stages.size(); ++s) {
    const StageConfig& stage = config.stages[s];
    const std::vector<StepSpan> spans = spans_of(plan, static_cast<int32_t>(s));
    if (spans.empty()) continue;  // lies before a changed curriculum
    const auto known = stage_first_rows.find(stage.name);
    const int64_t first = known == stage_first_rows.end() ? spans.front().first_row : known->second;
    stages.push_back(stage_run(config, stage, first, end_step(spans.back()),
                               steps_since(first, stage, spans), device));
  }
  if (stages.empty()) {
    const StageConfig& last = config.stages.back();
    stages.push_back(
        stage_run(config, last, plan.first_row(), plan.end_step(), steps_of(last), device));
  }
  return stages;
}

int64_t tokens_from(const MixturePlan& plan, int64_t step) {
  int64_t tokens = 0;
  for (const StepSpan& span : plan.steps) {
    const int64_t end = span.first_step + (span.end_row - span.first_row) / span.rows_per_step;
    if (step >= end) continue;
    tokens += (end - std::max(step, span.first_step)) * span.rows_per_step *
              plan.curriculum.stages[static_cast<size_t>(span.stage)].sequence_length;
  }
  return tokens;
}

const StageRun& stage_of(const std::vector<StageRun>& stages, int64_t step) {
  for (const StageRun& stage : stages) {
    if (step < stage.end_step) return stage;
  }
  TORCH_INTERNAL_ASSERT(!stages.empty(), "a run without stages");
  return stages.back();
}

}  // namespace phalanx
