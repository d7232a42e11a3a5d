#pragma once
// What a person points at to ask what a run reads: a configuration, a run's folder or a
// checkpoint's, and from there to the plan that a step followed. Local; no session, no model.
// A run's newest attempt counts (start.json, else its newest checkpoint). Past steps follow the
// ledger with the configuration of their segment, so a curriculum changed on the way, skipped
// steps and resumes show what was really read; the ledger's hashes check each plan.
// The plan of a run that is to start compares the sizes of all shards with their manifests, as
// training does; that of a step opens what the step reads, and compares only these.
// Errors: std::invalid_argument that leads with what was pointed at.
#include <optional>
#include <string>
#include <vector>

#include "configs/read_config.h"
#include "data/mixture/resume.h"
#include "trainer/run_data.h"
#include "trainer/train_state.h"

namespace phalanx {

struct DataPlace {
  ConfigRequest request;            // file: as given; overrides go on top of stored configurations
  std::string config_yaml;          // stored; empty: request.file is a configuration
  std::optional<TrainState> state;  // nothing: a new run
};

struct PlacedData {
  RunConfig config;
  RunData data;
  PlannedRun planned;
};

/// Finds and reads what `request.file` points at; request.config_dir is filled.
[[nodiscard]] DataPlace find_data_place(ConfigRequest request);

/// The plan of the newest segment.
[[nodiscard]] PlacedData open_newest_plan(const DataPlace& place);

/// The plan of a run that resumes from `checkpoint` with the configuration that `place` is.
[[nodiscard]] PlacedData open_resumed_plan(const DataPlace& place, const std::string& checkpoint);

/// The plan that `step` (from 0) followed, or will, with the lists of masked documents of then: an
/// error if one is gone or another now.
[[nodiscard]] PlacedData open_plan_of_step(const DataPlace& place, int64_t step);

}  // namespace phalanx
