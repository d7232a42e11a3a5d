#include "launch/report/metrics_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <system_error>

namespace phalanx {
namespace {

using nlohmann::json;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kMaxSteps = int64_t{1} << 48;  // beyond: not a count of steps

double number(const json& object, const char* key) {
  if (!object.is_object()) return kNone;
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : kNone;
}

int64_t whole(const json& object, const char* key) {
  const double value = number(object, key);
  const bool known = value >= 0 && value < static_cast<double>(kMaxSteps);
  return known ? static_cast<int64_t>(value) : 0;
}

std::string word(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

const json& part(const json& object, const char* key) {
  static const json kNothing = json::object();
  const auto found = object.find(key);
  return found != object.end() && found->is_object() ? *found : kNothing;
}

class Reader {
 public:
  MetricsHistory read(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    errno = errno == 0 ? EIO : errno;
    if (!file) throw std::system_error(errno, std::generic_category(), "read " + path.string());
    for (std::string line; std::getline(file, line);) {
      ++history_.lines;
      const json object = json::parse(line, nullptr, /*allow_exceptions=*/false);
      const double step = number(object, "step");
      if (step >= 1 && step < static_cast<double>(kMaxSteps)) {
        take(object, static_cast<int64_t>(step));
      } else if (!line.empty()) {
        if (history_.bad_lines++ == 0) history_.first_bad_line = history_.lines;
      }
    }
    if (file.bad()) throw std::system_error(EIO, std::generic_category(), "read " + path.string());
    return std::move(history_);
  }

 private:
  void take(const json& line, int64_t step) {
    const int64_t last = history_.empty() ? 0 : history_.steps.back();
    note_events(line, step, last);
    if (step <= last) forget_from(step);
    history_.steps.push_back(step);
    history_.tokens.push_back(number(line, "tokens"));
    history_.loss.push_back(number(line, "loss"));
    history_.grad_norm.push_back(number(line, "grad_norm"));
    history_.learning_rate.push_back(number(line, "learning_rate"));
    history_.tokens_per_second.push_back(number(line, "tokens_per_second"));
    history_.seconds.push_back(number(line, "step_seconds") + number(line, "data_wait_seconds"));
    take_sources(part(line, "sources"));
    take_validation(part(line, "validation_before"), step - 1,
                    history_.tokens.size() > 1 ? history_.tokens[history_.tokens.size() - 2] : 0);
    take_validation(part(line, "validation"), step, history_.tokens.back());
    history_.num_steps = whole(line, "num_steps");
    history_.num_tokens = static_cast<double>(whole(line, "num_tokens"));
    if (line.contains("rolled_back_to")) go_back(whole(line, "rolled_back_to"), step);
  }

  /// The weights know nothing of the steps between, nor of this one.
  void go_back(int64_t to, int64_t step) {
    event("resume", step, fmt::format("a spike: the run goes back to step {}", to));
    forget_from(to + 1);
  }

  /// A later attempt takes these steps again.
  void forget_from(int64_t step) {
    const auto keep =
        static_cast<size_t>(std::lower_bound(history_.steps.begin(), history_.steps.end(), step) -
                            history_.steps.begin());
    history_.steps.resize(keep);
    for (auto* values : {&history_.tokens, &history_.loss, &history_.grad_norm,
                         &history_.learning_rate, &history_.tokens_per_second, &history_.seconds}) {
      values->resize(keep);
    }
    for (auto& [name, source] : history_.sources) {
      for (auto* values : {&source.loss, &source.tokens, &source.total_tokens}) {
        values->resize(keep);
      }
    }
    for (auto& [name, points] : history_.validation) {
      while (!points.empty() && points.back().step >= step) points.pop_back();
    }
  }

  void take_sources(const json& sources) {
    const size_t count = history_.steps.size();
    for (const auto& [name, values] : sources.items()) {
      SourceHistory& source = history_.sources[name];
      source.loss.resize(count - 1, kNone);
      source.tokens.resize(count - 1, 0);
      source.total_tokens.resize(count - 1, kNone);
      source.loss.push_back(number(values, "loss"));
      source.tokens.push_back(number(values, "tokens"));
      source.total_tokens.push_back(number(values, "total_tokens"));
    }
    for (auto& [name, source] : history_.sources) {
      source.loss.resize(count, kNone);
      source.tokens.resize(count, 0);
      source.total_tokens.resize(count, kNone);
    }
  }

  void take_validation(const json& results, int64_t step, double tokens) {
    for (const auto& [name, values] : results.items()) {
      std::vector<ValidationPoint>& points = history_.validation[name];
      // A run that was killed before its first save is evaluated before its first step once more.
      while (!points.empty() && points.back().step >= step) points.pop_back();
      points.push_back({step, tokens, number(values, "loss"), number(values, "bits_per_byte"),
                        number(values, "targets")});
    }
  }

  void event(std::string kind, int64_t step, std::string text) {
    history_.events.push_back({std::move(kind), step, std::move(text)});
  }

  void note_events(const json& line, int64_t step, int64_t last) {
    const int64_t attempt = whole(line, "attempt");
    if (attempt_ != attempt) {
      event(step == 1 ? "start" : "resume", step - 1,
            step <= last ? fmt::format("attempt {} goes back to step {}", attempt, step - 1)
                         : fmt::format("attempt {} begins after step {}", attempt, step - 1));
      failed_ = 0;
      attempt_ = attempt;
    }
    const bool saving = line.value("saving", json()) == true;
    if (saving && !saving_) event("save", step, "a checkpoint is written");
    saving_ = saving;
    const int64_t failed = whole(line, "saves_failed");
    if (failed > failed_) event("save_failed", step, "a save failed before this step");
    failed_ = failed;
    const std::string suspicion = word(line, "suspicion"), verdict = word(line, "verdict");
    const std::string why = suspicion + (verdict.empty() ? "" : ", " + verdict);
    if (line.value("skipped", json()) == true) {
      event("skipped", step, "no update: " + (why.empty() ? "not finite" : why));
    } else if (!why.empty()) {
      event("again", step, "computed again: " + why);
    }
    note_stragglers(part(line, "work"), step);
  }

  void note_stragglers(const json& work, int64_t step) {
    const auto found = work.find("stragglers");
    if (found == work.end() || !found->is_array()) return;
    for (const json& one : *found) {
      if (!one.is_object()) continue;
      event("straggler", step,
            fmt::format("rank {} on {} is slow", whole(one, "rank"), word(one, "host")));
    }
  }

  MetricsHistory history_;
  int64_t attempt_ = -1, failed_ = 0;
  bool saving_ = false;
};

}  // namespace

double MetricsHistory::tokens_at(int64_t step) const {
  const auto after = std::upper_bound(steps.begin(), steps.end(), step);
  return after == steps.begin() ? 0 : tokens[static_cast<size_t>(after - steps.begin()) - 1];
}

MetricsHistory read_metrics_history(const std::filesystem::path& metrics) {
  errno = 0;
  return Reader().read(metrics);
}

std::vector<ValidationPoint> mean_validation(const MetricsHistory& history) {
  std::map<int64_t, ValidationPoint> sums;
  for (const auto& [name, points] : history.validation) {
    for (const ValidationPoint& point : points) {
      if (!std::isfinite(point.loss) || !(point.targets > 0)) continue;
      ValidationPoint& sum = sums[point.step];
      sum.step = point.step;
      sum.tokens = point.tokens;
      sum.loss += point.loss * point.targets;
      sum.targets += point.targets;
      sum.bits_per_byte = kNone;  // bytes are not in the file
    }
  }
  std::vector<ValidationPoint> means;
  for (auto& [step, sum] : sums) {
    sum.loss /= sum.targets;
    means.push_back(sum);
  }
  return means;
}

}  // namespace phalanx
