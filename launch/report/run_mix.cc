#include "launch/report/run_mix.h"

#include <algorithm>
#include <cmath>

#include "data/mixture/plan_curve.h"
#include "data/mixture/plan_report.h"
#include "launch/data_place.h"

namespace phalanx {
namespace {

constexpr int64_t kStretches = 120;
constexpr int64_t kMinRows = 32;  // fewer, and a share is mostly its rounding to whole rows

size_t index_of(const std::vector<std::string>& names, const std::string& name) {
  return static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
}

/// A plan that began later in the run (its curriculum was changed) counts its tokens from there,
/// and a run that goes on from another's checkpoint has no lines of what was before.
double tokens_before_plan(const RunSummary& run, const MixturePlan& plan, double planned) {
  const double all = run.history.num_tokens;
  return all > 0 ? std::max(0.0, all - planned) : run.history.tokens_at(plan.start.step);
}

}  // namespace

void add_plan(RunSummary& run) {
  ConfigRequest request;
  request.file = run.folder.string();
  const PlacedData placed = open_newest_plan(find_data_place(request));
  const auto& plan = placed.planned.plan;
  const PlanReport report = describe_plan(*plan);
  for (const SourceReport& source : report.sources) {
    run.epoch_tokens[source.name] = static_cast<double>(source.epoch_tokens);
  }
  const auto in_plan = static_cast<double>(report.tokens);
  const double before = tokens_before_plan(run, *plan, in_plan);
  run.planned_tokens = before + in_plan;
  for (const PlanStretch& planned : plan_curve(plan, kStretches, kMinRows).stretches) {
    MixStretch stretch;
    stretch.first_token = before + static_cast<double>(planned.first_token);
    stretch.end_token = before + static_cast<double>(planned.end_token);
    stretch.planned.resize(run.sources.size());
    for (size_t s = 0; s < plan->num_sources(); ++s) {
      const size_t at = index_of(run.sources, plan->sources[s].name);
      if (at < run.sources.size()) stretch.planned[at] = planned.planned[s];
    }
    run.mix.push_back(std::move(stretch));
  }
}

void add_realised_mix(RunSummary& run) {
  const MetricsHistory& history = run.history;
  if (history.empty()) return;
  const double begin = run.mix.empty() ? 0 : run.mix.front().first_token;
  if (run.mix.empty() || begin > 0) {  // what was read before the plan, or without one
    const double end = run.mix.empty() ? history.tokens.back() : begin;
    const auto parts = std::min<int64_t>(kStretches, static_cast<int64_t>(history.steps.size()));
    std::vector<MixStretch> earlier(static_cast<size_t>(parts));
    for (size_t i = 0; i < earlier.size(); ++i) {
      earlier[i].first_token = end * static_cast<double>(i) / static_cast<double>(parts);
      earlier[i].end_token = end * static_cast<double>(i + 1) / static_cast<double>(parts);
    }
    run.mix.insert(run.mix.begin(), earlier.begin(), earlier.end());
  }
  size_t at = 0;
  for (MixStretch& stretch : run.mix) {
    stretch.planned.resize(run.sources.size());
    stretch.realised.resize(run.sources.size());
  }
  for (size_t i = 0; i < history.steps.size(); ++i) {
    // A step belongs to the stretch that its middle lies in.
    const double last = i == 0 ? 0 : history.tokens[i - 1];
    const double middle = (last + history.tokens[i]) / 2;
    while (at + 1 < run.mix.size() && run.mix[at].end_token <= middle) ++at;
    for (const auto& [name, source] : history.sources) {
      const double tokens = source.tokens[i];
      const size_t s = index_of(run.sources, name);
      if (std::isfinite(tokens) && s < run.sources.size()) run.mix[at].realised[s] += tokens;
    }
  }
  for (MixStretch& stretch : run.mix) {
    double sum = 0;
    for (const double tokens : stretch.realised) sum += tokens;
    for (double& tokens : stretch.realised) tokens = sum > 0 ? tokens / sum : 0;
  }
}

}  // namespace phalanx
