#pragma once
// What the page of a report draws from: runs read, grouped, compared, and as one JSON object.
// Local. Curves are thinned, so that the object stays small whatever the number of runs, sources
// and steps. Reading is one run after the other; a history is let go once its curves are made.
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launch/report/measures.h"

namespace phalanx {

struct ReportData {
  std::string title;
  std::string made;              // date and time, UTC
  std::vector<RunSummary> runs;  // their histories let go
  std::vector<RunFigures> run_figures;
  std::vector<std::string> labels;   // names, or paths where names are not unique
  std::vector<std::string> curves;   // JSON, what was drawn from the histories
  std::vector<std::string> sources;  // of all runs, in name order
  std::vector<RunGroup> groups;
  std::vector<Measure> measures;
  std::vector<std::vector<GroupFigure>> figures;  // [group][measure]
  std::optional<size_t> baseline;                 // a group; none with a single group
};

struct ReportRequest {
  std::vector<std::filesystem::path> folders;
  std::string title;
  std::string baseline;  // name of a group or of a run in it; empty: the first
  /// Reasons that are known of runs, by folder (an experiment's failed ones).
  std::map<std::filesystem::path, std::string> reasons;
};

/// Throws std::invalid_argument for a baseline that is not there, with the names that are.
[[nodiscard]] ReportData gather_report(const ReportRequest& request);

/// One JSON object. `<` is written as \u003c, so that it can stand in a page's script element.
[[nodiscard]] std::string report_json(const ReportData& data);

}  // namespace phalanx
