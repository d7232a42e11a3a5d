#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "launch/report/report_data.h"
#include "launch/report/run_curves.h"

namespace phalanx {
namespace {

using nlohmann::ordered_json;

ordered_json number(double value) {
  return std::isfinite(value) ? ordered_json(rounded(value)) : ordered_json(nullptr);
}

ordered_json groups_json(const ReportData& data) {
  ordered_json json = ordered_json::array();
  for (size_t g = 0; g < data.groups.size(); ++g) {
    const RunGroup& group = data.groups[g];
    ordered_json figures = ordered_json::array();
    for (size_t m = 0; m < data.measures.size(); ++m) {
      const GroupFigure& figure = data.figures[g][m];
      ordered_json entry;
      entry["n"] = figure.spread.n;
      entry["mean"] = number(figure.spread.mean);
      entry["sd"] = number(figure.spread.sd);
      for (const auto& [seed, value] : figure.by_seed) entry["values"].push_back(number(value));
      if (figure.difference) {
        entry["difference"] = number(figure.difference->mean);
        entry["half_width"] = number(figure.difference->half_width);
        entry["paired"] = figure.difference->paired;
        entry["verdict"] = verdict_of(*figure.difference, data.measures[m].less_is_better());
      }
      figures.push_back(std::move(entry));
    }
    json.push_back({{"name", group.name},
                    {"runs", group.runs},
                    {"counted", group.counted},
                    {"complete", group.complete},
                    {"figures", std::move(figures)}});
  }
  return json;
}

ordered_json measures_json(const ReportData& data) {
  ordered_json json = ordered_json::array();
  for (const Measure& measure : data.measures) {
    json.push_back({{"key", measure.key()},
                    {"label", measure.label()},
                    {"source", measure.source},
                    {"bits", measure.kind == MeasureKind::kBitsPerByte},
                    {"less_is_better", measure.less_is_better()}});
  }
  return json;
}

/// Fields in which the runs differ; names and folders always do.
ordered_json config_json(const ReportData& data) {
  std::set<std::string> paths;
  for (const RunSummary& run : data.runs) {
    for (const auto& [path, value] : run.config) paths.insert(path);
  }
  ordered_json json = ordered_json::array();
  for (const std::string& path : paths) {
    if (path == "run.name" || path == "run.dir") continue;
    std::set<std::string> different;
    ordered_json values = ordered_json::array();
    for (const RunSummary& run : data.runs) {
      const auto found = run.config.find(path);
      const bool known = found != run.config.end();
      values.push_back(known ? ordered_json(found->second) : ordered_json(nullptr));
      if (!run.config.empty()) different.insert(known ? found->second : "");
    }
    if (different.size() > 1) json.push_back({{"path", path}, {"values", std::move(values)}});
  }
  return json;
}

ordered_json sources_json(const ReportData& data) {
  ordered_json json = ordered_json::array();
  for (const std::string& name : data.sources) {
    bool synthetic = false;
    for (const RunSummary& run : data.runs) {
      const auto kind = run.synthetic.find(name);
      synthetic |= kind != run.synthetic.end() && kind->second;
    }
    json.push_back({{"name", name}, {"synthetic", synthetic}});
  }
  return json;
}

/// `curves` is text that was made when the run was read.
std::string runs_json(const ReportData& data) {
  std::string text;
  for (size_t i = 0; i < data.runs.size(); ++i) {
    const RunSummary& run = data.runs[i];
    ordered_json json;
    json["label"] = data.labels[i];
    json["path"] = run.folder.string();
    json["seed"] = seed_of(run.name);
    json["status"] = name_of(run.status);
    json["problems"] = run.problems;
    json["steps"] = run.steps;
    json["tokens"] = number(run.tokens);
    json["planned_tokens"] = number(run.planned_tokens);
    for (const Measure& measure : data.measures) {
      json["figures"].push_back(number(value_of(measure, data.run_figures[i])));
    }
    std::string entry = page_json(json);
    entry.pop_back();
    text += fmt::format("{}{},\"curves\":{}}}", i == 0 ? "" : ",\n", entry, data.curves[i]);
  }
  return "[" + text + "]";
}

}  // namespace

std::string report_json(const ReportData& data) {
  ordered_json json;
  json["title"] = data.title;
  json["made"] = data.made;
  json["baseline"] = data.baseline ? ordered_json(*data.baseline) : ordered_json(nullptr);
  json["sources"] = sources_json(data);
  json["measures"] = measures_json(data);
  json["groups"] = groups_json(data);
  json["config"] = config_json(data);
  std::string text = page_json(json);
  text.pop_back();
  return text + ",\n\"runs\":" + runs_json(data) + "}";
}

}  // namespace phalanx
