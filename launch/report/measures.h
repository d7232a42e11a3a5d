#pragma once
// The final figures that a report compares, each over the runs of a group. Local, pure.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launch/report/figures.h"

namespace phalanx {

enum class MeasureKind {
  kTrainLoss,
  kValidationLoss,
  kBitsPerByte,
  kEpochs,
  kTokensPerSecond,
};

struct Measure {
  MeasureKind kind = MeasureKind::kTrainLoss;
  std::string source;                       // of kBitsPerByte and kEpochs
  [[nodiscard]] std::string label() const;  // "bits per byte, books"
  [[nodiscard]] std::string key() const;    // "bits_per_byte.books", the column of results.csv
  [[nodiscard]] bool less_is_better() const;
};

/// Those that any of the runs has a value of, in the order of a table.
[[nodiscard]] std::vector<Measure> measures_of(const std::vector<RunFigures>& runs);
/// NaN where the run has none.
[[nodiscard]] double value_of(const Measure& measure, const RunFigures& figures);

struct GroupFigure {
  std::map<std::string, double> by_seed;  // runs that count
  Spread spread;
  std::optional<Difference> difference;  // from the baseline; not of the baseline itself
};

/// [group][measure]; `baseline` is an index of `groups`, or none.
[[nodiscard]] std::vector<std::vector<GroupFigure>> compare_groups(
    const std::vector<RunSummary>& runs, const std::vector<RunFigures>& figures,
    const std::vector<RunGroup>& groups, const std::vector<Measure>& measures,
    std::optional<size_t> baseline);

/// "better", "worse", "unclear" (zero lies in the interval), "one run" (there is no interval).
[[nodiscard]] std::string verdict_of(const Difference& difference, bool less_is_better);

}  // namespace phalanx
