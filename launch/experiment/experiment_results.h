#pragma once
// What an experiment ends with: a row a run, a comparison as text, and the page of a report.
// Local.
#include <map>
#include <string>
#include <vector>

#include "launch/experiment/run_state.h"
#include "launch/report/report_data.h"

namespace phalanx {

/// CSV (RFC 4180, with a line of names): run, group, seed, status, reason, steps, tokens and every
/// measure; empty where a run has none.
[[nodiscard]] std::string results_csv(const ReportData& data);

/// Group by group each source's bits per byte, with the difference from the baseline.
[[nodiscard]] std::string comparison_text(const ReportData& data);

/// Reads all runs, those that have not begun too. `reasons` are those that are known of runs that
/// failed, by name; of others that are not done the last error in their log.
[[nodiscard]] ReportData gather_experiment(const ExperimentConfig& experiment,
                                           const std::vector<ExperimentRun>& runs,
                                           const ExperimentPlace& place,
                                           const std::map<std::string, std::string>& reasons);

}  // namespace phalanx
