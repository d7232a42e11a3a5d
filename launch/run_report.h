#pragma once
// What a run prints when it ends. Pure text; local.
#include <string>

#include "trainer/run_config.h"
#include "trainer/trainer.h"

namespace phalanx {

struct ReportPlace {
  std::string run_folder;
  std::string resume_line;
  int num_ranks = 1;
};

/// Planned and achieved tokens and epochs of each source, bits per byte at start and end, speed,
/// checkpoints, and how to resume.
std::string run_report(const RunConfig& config, const RunOutcome& outcome,
                       const ReportPlace& place);

/// The same for programs, as one line of JSON without its end: `state` (finished, stopped),
/// `reason` of a stop, `run`, `step`, `num_steps`, `tokens`, `tokens_per_second` (null: nothing was
/// trained), `data_wait_share`, `validation` as in metrics.jsonl, `checkpoint`, `resume`.
std::string run_report_json(const RunOutcome& outcome, const ReportPlace& place);

}  // namespace phalanx
