#include "launch/experiment/experiment_results.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace phalanx {
namespace {

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string csv_number(double value) {
  return std::isfinite(value) ? fmt::format("{:.9g}", value) : "";
}

std::string group_of(const ReportData& data, size_t run) {
  for (const RunGroup& group : data.groups) {
    if (std::find(group.runs.begin(), group.runs.end(), run) != group.runs.end()) return group.name;
  }
  return "";
}

std::string figure_text(const GroupFigure& figure, const Measure& measure) {
  if (figure.spread.n == 0) return "-";
  std::string text = fmt::format("{:.4f}", figure.spread.mean);
  if (std::isfinite(figure.spread.sd)) text += fmt::format(" +- {:.4f}", figure.spread.sd);
  if (!figure.difference) return text;
  text += fmt::format("  {:+.4f}", figure.difference->mean);
  if (std::isfinite(figure.difference->half_width)) {
    text += fmt::format(" +- {:.4f}", figure.difference->half_width);
  }
  const std::string verdict = verdict_of(*figure.difference, measure.less_is_better());
  return text + " " + verdict;
}

}  // namespace

std::string results_csv(const ReportData& data) {
  std::string text = "run,group,seed,status,reason,steps,tokens";
  for (const Measure& measure : data.measures) text += "," + csv_field(measure.key());
  text += "\r\n";
  for (size_t i = 0; i < data.runs.size(); ++i) {
    const RunSummary& run = data.runs[i];
    const bool seeded = name_without_seed(run.name) != run.name;
    text +=
        fmt::format("{},{},{},{},{},{},{}", csv_field(data.labels[i]), csv_field(group_of(data, i)),
                    seeded ? seed_of(run.name) : "", name_of(run.status),
                    csv_field(run.problems.empty() ? "" : run.problems.front()), run.steps,
                    csv_number(run.tokens));
    for (const Measure& measure : data.measures) {
      text += "," + csv_number(value_of(measure, data.run_figures[i]));
    }
    text += "\r\n";
  }
  return text;
}

std::string comparison_text(const ReportData& data) {
  size_t width = 4;
  for (const RunGroup& group : data.groups) width = std::max(width, group.name.size());
  std::string text;
  for (size_t m = 0; m < data.measures.size(); ++m) {
    if (!data.measures[m].less_is_better()) continue;
    text += data.measures[m].label() + "\n";
    for (size_t g = 0; g < data.groups.size(); ++g) {
      text += fmt::format("  {:<{}}  {}{}\n", data.groups[g].name, width,
                          figure_text(data.figures[g][m], data.measures[m]),
                          data.groups[g].complete ? "" : "  (not all finished)");
    }
  }
  return text;
}

ReportData gather_experiment(const ExperimentConfig& experiment,
                             const std::vector<ExperimentRun>& runs, const ExperimentPlace& place,
                             const std::map<std::string, std::string>& reasons) {
  ReportRequest request;
  request.title = experiment.name;
  request.baseline = experiment.baseline;
  for (const ExperimentRun& run : runs) {
    request.folders.push_back(place.run(run));
    const auto known = reasons.find(run.name);
    std::string reason = known == reasons.end() ? "" : known->second;
    if (reason.empty() && state_of(place, run).progress != RunProgress::kDone) {
      reason = last_message(place.log(run));
    }
    if (!reason.empty()) request.reasons[place.run(run)] = "failed: " + reason;
  }
  return gather_report(request);
}

}  // namespace phalanx
