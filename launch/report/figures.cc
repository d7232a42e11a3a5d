#include "launch/report/figures.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <regex>

namespace phalanx {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
const char* const kSeed = R"(^(.+?)[-_.]?seed[-_=.]?(\d+)$)";

/// Student's t, 97.5 %, of 1 to 30 degrees of freedom; beyond, the normal distribution's.
double t_quantile(double degrees) {
  constexpr std::array kTable = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306,
                                 2.262,  2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
                                 2.110,  2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064,
                                 2.060,  2.056, 2.052, 2.048, 2.045, 2.042};
  const auto whole = static_cast<size_t>(std::max(1.0, std::floor(degrees)));
  return whole <= kTable.size() ? kTable[whole - 1] : 1.96;
}

Difference compare_pairs(const std::map<std::string, double>& one,
                         const std::map<std::string, double>& other) {
  std::vector<double> apart;
  for (const auto& [seed, value] : one) apart.push_back(value - other.at(seed));
  const Spread spread = spread_of(apart);
  const auto n = static_cast<double>(spread.n);
  return {spread.mean, t_quantile(n - 1) * spread.sd / std::sqrt(n), true};
}

std::vector<double> values_of(const std::map<std::string, double>& values) {
  std::vector<double> found;
  for (const auto& [seed, value] : values) found.push_back(value);
  return found;
}

Difference compare_means(const std::map<std::string, double>& one,
                         const std::map<std::string, double>& other) {
  const Spread a = spread_of(values_of(one)), b = spread_of(values_of(other));
  const double va = a.sd * a.sd / static_cast<double>(a.n);
  const double vb = b.sd * b.sd / static_cast<double>(b.n);
  const double degrees =
      (va + vb) * (va + vb) /
      (va * va / static_cast<double>(a.n - 1) + vb * vb / static_cast<double>(b.n - 1));
  const bool known = std::isfinite(va + vb);
  const double t = t_quantile(std::isfinite(degrees) ? degrees : 1.0);
  return {a.mean - b.mean, known ? t * std::sqrt(va + vb) : kNone, false};
}

double mean_of_last(const std::vector<double>& values) {
  const size_t count = std::max<size_t>(1, values.size() / 20);
  std::vector<double> last(
      values.end() - static_cast<std::ptrdiff_t>(std::min(count, values.size())), values.end());
  return spread_of(last).mean;
}

}  // namespace

RunFigures figures_of(const RunSummary& run) {
  RunFigures figures{kNone, kNone, kNone, {}, {}};
  const MetricsHistory& history = run.history;
  if (history.empty()) return figures;
  figures.train_loss = mean_of_last(history.loss);
  double tokens = 0, seconds = 0;
  for (size_t i = 0; i < history.steps.size(); ++i) {
    const int64_t before = i == 0 ? 0 : history.steps[i - 1];
    // After a gap the tokens of the steps that are not there would count as this one's.
    if (!std::isfinite(history.seconds[i]) || history.steps[i] != before + 1) continue;
    tokens += history.tokens[i] - (i == 0 ? 0 : history.tokens[i - 1]);
    seconds += history.seconds[i];
  }
  if (seconds > 0) figures.tokens_per_second = tokens / seconds;
  const std::vector<ValidationPoint> means = mean_validation(history);
  if (!means.empty()) figures.validation_loss = means.back().loss;
  for (const auto& [name, points] : history.validation) {
    if (points.empty()) continue;
    figures.bits_per_byte[name] = points.back().bits_per_byte;
  }
  for (const auto& [name, source] : history.sources) {
    const auto epoch = run.epoch_tokens.find(name);
    if (epoch == run.epoch_tokens.end() || epoch->second <= 0) continue;
    figures.epochs[name] = source.total_tokens.back() / epoch->second;
  }
  return figures;
}

Spread spread_of(const std::vector<double>& values) {
  double sum = 0, squares = 0;
  int64_t n = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    sum += value;
    ++n;
  }
  if (n == 0) return {0, kNone, kNone};
  const double mean = sum / static_cast<double>(n);
  for (const double value : values) {
    if (std::isfinite(value)) squares += (value - mean) * (value - mean);
  }
  return {n, mean, n > 1 ? std::sqrt(squares / static_cast<double>(n - 1)) : kNone};
}

Difference difference_of(const std::map<std::string, double>& one,
                         const std::map<std::string, double>& other) {
  const bool pairs =
      one.size() > 1 && one.size() == other.size() &&
      std::all_of(one.begin(), one.end(), [&](const auto& e) { return other.contains(e.first); });
  return pairs ? compare_pairs(one, other) : compare_means(one, other);
}

std::string name_without_seed(const std::string& name) {
  std::smatch match;
  return std::regex_match(name, match, std::regex(kSeed)) ? match[1].str() : name;
}

std::string seed_of(const std::string& name) {
  std::smatch match;
  return std::regex_match(name, match, std::regex(kSeed)) ? match[2].str() : name;
}

std::vector<RunGroup> group_runs(const std::vector<RunSummary>& runs) {
  std::vector<RunGroup> groups;
  std::map<std::string, size_t> places;
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string folder = runs[i].folder.parent_path().string();
    const std::string name = name_without_seed(runs[i].name);
    const auto [place, is_new] = places.try_emplace(folder + '\n' + name, groups.size());
    if (is_new) groups.push_back({name, {}, {}, false});
    groups[place->second].runs.push_back(i);
  }
  for (RunGroup& group : groups) {
    for (const size_t i : group.runs) {
      if (runs[i].status == RunStatus::kFinished) group.counted.push_back(i);
    }
    group.complete = group.counted.size() == group.runs.size();
    if (!group.counted.empty()) continue;
    for (const size_t i : group.runs) {
      if (runs[i].steps > 0) group.counted.push_back(i);
    }
  }
  return groups;
}

}  // namespace phalanx
