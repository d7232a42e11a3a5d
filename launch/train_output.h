#pragma once
// What `phalanx train` prints, and for whom: people, nobody, or a program that reads JSON lines.
// Local. The first rank calls what prints; progress_options() only decides.
#include <string>
#include <vector>

#include "launch/run_report.h"
#include "trainer/trainer.h"

namespace phalanx {

struct TrainOutput {
  bool quiet = false;  // warnings, notes (a save, a skipped step) and errors only
  bool json = false;   // stdout: the lines of metrics.jsonl, then one of the end; else as quiet
  bool panel = false;  // though stderr is no terminal, as under mpirun

  bool for_people() const { return !quiet && !json; }
};

/// A panel on a terminal that can move its cursor, in colours unless NO_COLOR is set; else lines.
ProgressOptions progress_options(const TrainOutput& output, double interval_seconds);

/// The plan, and what is noted or warned of.
void print_plan(const TrainOutput& output, const MixturePlan& plan, const RunConfig& config,
                const std::vector<std::string>& warnings, const std::string& notes);

/// What the memory check said, and what will compute.
void print_machine(const TrainOutput& output, const std::string& memory, const RunConfig& config,
                   bool dry_run);

void print_report(const TrainOutput& output, const RunConfig& config, const RunOutcome& outcome,
                  const ReportPlace& place);

}  // namespace phalanx
