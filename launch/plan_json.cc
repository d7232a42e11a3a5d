#include "launch/plan_json.h"

#include <nlohmann/json.hpp>

#include "launch/plan_text.h"

namespace phalanx {
namespace {

using Json = nlohmann::ordered_json;

Json phase_json(const PhaseReport& phase, const PlanReport& report) {
  Json sources = Json::array();
  for (size_t k = 0; k < phase.sources.size(); ++k) {
    const PhaseShare& share = phase.sources[k];
    if (share.rows == 0) continue;
    sources.push_back({{"source", report.sources[k].name},
                       {"rows", share.rows},
                       {"tokens", share.tokens},
                       {"share", share.share},
                       {"first_epoch", share.first_epoch},
                       {"end_epoch", share.end_epoch},
                       {"first_step", share.first_step + 1},
                       {"last_step", share.last_step + 1}});
  }
  return {{"stage", phase.stage},
          {"phase", phase.phase},
          {"sequence_length", phase.sequence_length},
          {"first_row", phase.first_row},
          {"end_row", phase.end_row},
          {"tokens", phase.tokens},
          {"first_step", phase.first_step + 1},
          {"last_step", phase.last_step + 1},
          {"sources", sources}};
}

Json source_json(const SourceReport& source) {
  return {{"source", source.name},
          {"kind", name_of(source.kind)},
          {"tokens", source.tokens},
          {"tokens_before", source.tokens_before},
          {"epochs", source.epochs},
          {"max_epochs", source.max_epochs},
          {"epoch_tokens", source.epoch_tokens},
          {"repeat_tokens", source.repeat_tokens}};
}

/// Steps of equal size, with what the configuration says of their stage.
Json step_spans_json(const MixturePlan& plan, const RunConfig& config) {
  Json spans = Json::array();
  for (const StepSpan& span : plan.steps) {
    const StageConfig& stage = config.stages[static_cast<size_t>(span.stage)];
    spans.push_back(
        {{"stage", stage.name},
         {"first_step", span.first_step + 1},
         {"last_step", span.first_step + (span.end_row - span.first_row) / span.rows_per_step},
         {"rows_per_step", span.rows_per_step},
         {"sequence_length", stage.sequence_length},
         {"rope_theta", stage.rope_theta},
         {"micro_batch_size", stage.micro_batch_size}});
  }
  return spans;
}

Json curve_json(const MixturePlan& plan, const PlanCurve& curve) {
  Json names = Json::array();
  for (const SourceInfo& source : plan.sources) names.push_back(source.name);
  Json stretches = Json::array();
  for (const PlanStretch& stretch : curve.stretches) {
    stretches.push_back({{"first_row", stretch.first_row},
                         {"end_row", stretch.end_row},
                         {"first_token", stretch.first_token},
                         {"end_token", stretch.end_token},
                         {"planned", stretch.planned},
                         {"drawn_rows", stretch.realised}});
  }
  return {{"sources", names}, {"stretches", stretches}, {"largest_gap_rows", curve.gap.rows}};
}

}  // namespace

std::string plan_json(const MixturePlan& plan, const PlanCurve& curve, const RunConfig& config) {
  const PlanReport report = describe_plan(plan);
  Json json{{"num_steps", report.num_steps},
            {"first_step", plan.start.step + 1},
            {"tokens", report.tokens},
            {"steps", step_spans_json(plan, config)}};
  json["phases"] = Json::array();
  for (const PhaseReport& phase : report.phases)
    json["phases"].push_back(phase_json(phase, report));
  json["sources"] = Json::array();
  for (const SourceReport& source : report.sources) json["sources"].push_back(source_json(source));
  json["exhausted"] = Json::array();
  for (const ExhaustionReport& event : report.exhausted) {
    json["exhausted"].push_back({{"source", event.source},
                                 {"phase", event.phase},
                                 {"step", event.step + 1},
                                 {"tokens", event.tokens}});
  }
  json["notes"] = plan_notes(report);
  json["curve"] = curve_json(plan, curve);
  return json.dump(1) + "\n";
}

}  // namespace phalanx
