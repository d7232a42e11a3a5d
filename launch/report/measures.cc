#include "launch/report/measures.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace phalanx {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double find(const std::map<std::string, double>& values, const std::string& name) {
  const auto found = values.find(name);
  return found == values.end() ? kNone : found->second;
}

std::string with_source(const std::string& text, const std::string& source,
                        const std::string& between) {
  return source.empty() ? text : text + between + source;
}

}  // namespace

std::string Measure::label() const {
  switch (kind) {
    case MeasureKind::kTrainLoss:
      return "training loss";
    case MeasureKind::kValidationLoss:
      return "validation loss";
    case MeasureKind::kBitsPerByte:
      return with_source("bits per byte", source, ", ");
    case MeasureKind::kEpochs:
      return with_source("epochs", source, ", ");
    case MeasureKind::kTokensPerSecond:
      return "tokens/s";
  }
  return "";
}

std::string Measure::key() const {
  switch (kind) {
    case MeasureKind::kTrainLoss:
      return "train_loss";
    case MeasureKind::kValidationLoss:
      return "validation_loss";
    case MeasureKind::kBitsPerByte:
      return with_source("bits_per_byte", source, ".");
    case MeasureKind::kEpochs:
      return with_source("epochs", source, ".");
    case MeasureKind::kTokensPerSecond:
      return "tokens_per_second";
  }
  return "";
}

bool Measure::less_is_better() const {
  return kind == MeasureKind::kTrainLoss || kind == MeasureKind::kValidationLoss ||
         kind == MeasureKind::kBitsPerByte;
}

double value_of(const Measure& measure, const RunFigures& figures) {
  switch (measure.kind) {
    case MeasureKind::kTrainLoss:
      return figures.train_loss;
    case MeasureKind::kValidationLoss:
      return figures.validation_loss;
    case MeasureKind::kBitsPerByte:
      return find(figures.bits_per_byte, measure.source);
    case MeasureKind::kEpochs:
      return find(figures.epochs, measure.source);
    case MeasureKind::kTokensPerSecond:
      return figures.tokens_per_second;
  }
  return kNone;
}

std::vector<Measure> measures_of(const std::vector<RunFigures>& runs) {
  std::set<std::string> evaluated, read;
  for (const RunFigures& run : runs) {
    for (const auto& [name, value] : run.bits_per_byte) evaluated.insert(name);
    for (const auto& [name, value] : run.epochs) read.insert(name);
  }
  std::vector<Measure> all = {{MeasureKind::kTrainLoss, ""}, {MeasureKind::kValidationLoss, ""}};
  for (const std::string& name : evaluated) all.push_back({MeasureKind::kBitsPerByte, name});
  for (const std::string& name : read) all.push_back({MeasureKind::kEpochs, name});
  all.push_back({MeasureKind::kTokensPerSecond, ""});
  std::erase_if(all, [&](const Measure& measure) {
    return std::none_of(runs.begin(), runs.end(), [&](const RunFigures& run) {
      return std::isfinite(value_of(measure, run));
    });
  });
  return all;
}

std::vector<std::vector<GroupFigure>> compare_groups(const std::vector<RunSummary>& runs,
                                                     const std::vector<RunFigures>& figures,
                                                     const std::vector<RunGroup>& groups,
                                                     const std::vector<Measure>& measures,
                                                     std::optional<size_t> baseline) {
  std::vector<std::vector<GroupFigure>> table(groups.size(),
                                              std::vector<GroupFigure>(measures.size()));
  for (size_t g = 0; g < groups.size(); ++g) {
    for (size_t m = 0; m < measures.size(); ++m) {
      std::vector<double> values;
      for (const size_t run : groups[g].counted) {
        const double value = value_of(measures[m], figures[run]);
        if (!std::isfinite(value)) continue;
        table[g][m].by_seed[seed_of(runs[run].name)] = value;
        values.push_back(value);
      }
      table[g][m].spread = spread_of(values);
    }
  }
  if (!baseline) return table;
  for (size_t g = 0; g < groups.size(); ++g) {
    if (g == *baseline) continue;
    for (size_t m = 0; m < measures.size(); ++m) {
      const auto& other = table[*baseline][m].by_seed;
      if (table[g][m].by_seed.empty() || other.empty()) continue;
      table[g][m].difference = difference_of(table[g][m].by_seed, other);
    }
  }
  return table;
}

std::string verdict_of(const Difference& difference, bool less_is_better) {
  if (!std::isfinite(difference.half_width)) return "one run";
  if (std::abs(difference.mean) <= difference.half_width) return "unclear";
  return (difference.mean < 0) == less_is_better ? "better" : "worse";
}

}  // namespace phalanx
