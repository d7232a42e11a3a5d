#pragma once
// What a dry run adds to the plan: how rows, replicas and micro-batches multiply to the batch, and
// the lines that would start the run. Text; local. Reads the table of GPUs, for the ranks of a
// host.
#include <string>

#include "launch/train_run.h"

namespace phalanx {

/// One line for each size of batch: "batch: 5760 rows = 240 replicas x 12 micro-batches x 2 rows".
std::string batch_text(const RunConfig& config, int64_t num_ranks);

/// Both, for arguments.planned_ranks. Errors: those of the table of GPUs.
std::string dry_run_text(const RunConfig& config, const TrainArguments& arguments);

}  // namespace phalanx
