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

}  // namespace phalanx
