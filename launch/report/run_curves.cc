#include "launch/report/run_curves.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "launch/report/curve.h"

namespace phalanx {
namespace {

using nlohmann::ordered_json;

ordered_json numbers(const std::vector<double>& values) {
  ordered_json array = ordered_json::array();
  for (const double value : values) {
    // Whole numbers, as tokens mostly are, are shorter without a point.
    const double short_value = rounded(value);
    if (!std::isfinite(short_value)) {
      array.push_back(nullptr);
    } else if (short_value == std::floor(short_value) && std::abs(short_value) < 1e15) {
      array.push_back(static_cast<int64_t>(short_value));
    } else {
      array.push_back(short_value);
    }
  }
  return array;
}

ordered_json curve_of(const std::vector<double>& x, const std::vector<double>& y,
                      size_t max_points) {
  const Curve curve = thin(x, y, max_points);
  ordered_json json;
  json["x"] = numbers(curve.x);
  json["y"] = numbers(curve.y);
  if (!curve.low.empty()) {
    json["low"] = numbers(curve.low);
    json["high"] = numbers(curve.high);
  }
  return json;
}

/// Evaluations are few, but not of a run that asks for one every step.
ordered_json points_of(const std::vector<ValidationPoint>& points, bool bits, size_t max_points) {
  std::vector<double> x, y;
  for (const ValidationPoint& point : points) {
    x.push_back(point.tokens);
    y.push_back(bits ? point.bits_per_byte : point.loss);
  }
  return curve_of(x, y, max_points);
}

ordered_json sources_of(const RunSummary& run, size_t max_points) {
  ordered_json json = ordered_json::object();
  for (const std::string& name : run.sources) {
    ordered_json& entry = json[name] = ordered_json::object();
    const auto steps = run.history.sources.find(name);
    if (steps != run.history.sources.end()) {
      entry["loss"] = curve_of(run.history.tokens, steps->second.loss, max_points);
      const auto epoch = run.epoch_tokens.find(name);
      if (epoch != run.epoch_tokens.end() && epoch->second > 0) {
        std::vector<double> epochs = steps->second.total_tokens;
        for (double& tokens : epochs) tokens /= epoch->second;
        entry["epochs"] = curve_of(run.history.tokens, epochs, max_points / 4);
      }
    }
    const auto points = run.history.validation.find(name);
    if (points == run.history.validation.end()) continue;
    entry["validation"] = points_of(points->second, false, max_points);
    entry["bits"] = points_of(points->second, true, max_points);
  }
  return json;
}

ordered_json mix_of(const RunSummary& run) {
  ordered_json json;
  std::vector<double> begin, end;
  ordered_json planned = ordered_json::array(), realised = ordered_json::array();
  for (const MixStretch& stretch : run.mix) {
    begin.push_back(stretch.first_token);
    end.push_back(stretch.end_token);
    planned.push_back(numbers(stretch.planned));
    realised.push_back(numbers(stretch.realised));
  }
  json["sources"] = run.sources;
  json["begin"] = numbers(begin);
  json["end"] = numbers(end);
  json["planned"] = planned;
  json["realised"] = realised;
  return json;
}

ordered_json events_of(const RunSummary& run) {
  ordered_json json = ordered_json::array();
  for (const RunEvent& event : run.history.events) {
    json.push_back({{"kind", event.kind},
                    {"x", rounded(run.history.tokens_at(event.step))},
                    {"step", event.step},
                    {"text", event.text}});
  }
  return json;
}

}  // namespace

double rounded(double value) {
  if (!std::isfinite(value)) return value;
  return std::strtod(fmt::format("{:.6g}", value).c_str(), nullptr);
}

std::string curves_json(const RunSummary& run, size_t max_points) {
  const MetricsHistory& history = run.history;
  ordered_json json;
  json["loss"] = curve_of(history.tokens, history.loss, max_points);
  json["grad_norm"] = curve_of(history.tokens, history.grad_norm, max_points);
  json["learning_rate"] = curve_of(history.tokens, history.learning_rate, max_points / 2);
  json["tokens_per_second"] = curve_of(history.tokens, history.tokens_per_second, max_points);
  json["validation"] = points_of(mean_validation(history), false, max_points);
  json["sources"] = sources_of(run, max_points / 2);
  json["mix"] = mix_of(run);
  json["events"] = events_of(run);
  return page_json(json);
}

}  // namespace phalanx
