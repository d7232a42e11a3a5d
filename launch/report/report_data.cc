#include "launch/report/report_data.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <ctime>
#include <set>
#include <stdexcept>

#include "configs/suggest.h"
#include "launch/report/run_curves.h"

namespace phalanx {
namespace {

// Points of all curves together, some 16 bytes each in the page, and of one curve.
constexpr size_t kAllPoints = 400'000, kMostPoints = 1000, kLeastPoints = 100;
constexpr size_t kCurvesBesideSources = 4, kCurvesOfSource = 2;
constexpr size_t kUsualSources = 4;  // how many there are is known only when all are read

size_t points_of_curve(size_t num_runs, size_t num_sources) {
  const size_t curves =
      num_runs * (kCurvesBesideSources + kCurvesOfSource * std::max(num_sources, kUsualSources));
  return std::clamp(kAllPoints / curves, kLeastPoints, kMostPoints);
}

void add_run(const std::filesystem::path& folder, const ReportRequest& request, ReportData& data) {
  RunSummary run = read_run_summary(folder);
  const auto reason = request.reasons.find(folder);
  if (reason != request.reasons.end()) run.problems.insert(run.problems.begin(), reason->second);
  data.run_figures.push_back(figures_of(run));
  const size_t points = points_of_curve(request.folders.size(), run.sources.size());
  data.curves.push_back(curves_json(run, points));
  run.history = {};
  data.runs.push_back(std::move(run));
}

void label_runs(ReportData& data) {
  std::map<std::string, int> times;
  for (const RunSummary& run : data.runs) ++times[run.name];
  for (const RunSummary& run : data.runs) {
    data.labels.push_back(times[run.name] == 1 ? run.name : run.folder.string());
  }
}

/// Groups of one name in different folders are told apart by the folder.
void label_groups(const std::vector<RunSummary>& runs, std::vector<RunGroup>& groups) {
  std::map<std::string, int> times;
  for (const RunGroup& group : groups) ++times[group.name];
  for (RunGroup& group : groups) {
    if (times[group.name] == 1) continue;
    group.name = (runs[group.runs.front()].folder.parent_path() / group.name).string();
  }
}

std::optional<size_t> find_baseline(const ReportData& data, const std::string& wanted) {
  if (wanted.empty()) return data.groups.size() > 1 ? std::optional<size_t>(0) : std::nullopt;
  std::vector<std::string> names;
  for (size_t g = 0; g < data.groups.size(); ++g) {
    const RunGroup& group = data.groups[g];
    names.push_back(group.name);
    const bool named = std::any_of(group.runs.begin(), group.runs.end(), [&](size_t i) {
      return data.labels[i] == wanted || data.runs[i].folder.string() == wanted;
    });
    if (group.name == wanted || named) return g;
  }
  const auto near = nearest(wanted, names);
  throw std::invalid_argument(fmt::format("baseline: expected one of {}, found '{}'{}",
                                          fmt::join(names, ", "), wanted,
                                          near ? fmt::format("; did you mean '{}'?", *near) : ""));
}

std::vector<std::string> all_sources(const std::vector<RunSummary>& runs) {
  std::set<std::string> names;
  for (const RunSummary& run : runs) names.insert(run.sources.begin(), run.sources.end());
  return {names.begin(), names.end()};
}

}  // namespace

ReportData gather_report(const ReportRequest& request) {
  ReportData data;
  data.title = request.title;
  data.made = fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(std::time(nullptr)));
  for (const std::filesystem::path& folder : request.folders) add_run(folder, request, data);
  data.groups = group_runs(data.runs);
  label_runs(data);
  label_groups(data.runs, data.groups);
  data.sources = all_sources(data.runs);
  data.measures = measures_of(data.run_figures);
  data.baseline = find_baseline(data, request.baseline);
  data.figures =
      compare_groups(data.runs, data.run_figures, data.groups, data.measures, data.baseline);
  return data;
}

}  // namespace phalanx
