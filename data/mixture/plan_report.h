#pragma once
// A plan as people read it: what each phase takes from each source, before any training.
// Local, pure. Tokens are rows x T, padding included. Costs the draws of two blocks a phase.
#include <cstdint>
#include <string>
#include <vector>

#include "data/mixture/mixture_plan.h"

namespace phalanx {

struct PhaseShare {
  int64_t rows = 0;
  int64_t tokens = 0;
  double share = 0.0;        // of the phase
  double first_epoch = 0.0;  // of the stream at the phase's T, when the phase begins
  double end_epoch = 0.0;
  int64_t first_step = -1;  // in which the phase draws from the source; -1: in none
  int64_t last_step = -1;
};

struct PhaseReport {
  std::string path;  // `stages[0].phases[1]`
  std::string stage;
  std::string phase;
  int64_t sequence_length = 0;
  int64_t first_row = 0;
  int64_t end_row = 0;
  int64_t tokens = 0;
  int64_t first_step = 0;  // that holds its first row
  int64_t last_step = 0;   // that holds its last row
  std::vector<PhaseShare> sources;
};

struct SourceReport {
  std::string name;
  SourceKind kind = SourceKind::kOrganic;
  int64_t tokens = 0;         // planned from the start of the plan
  int64_t tokens_before = 0;  // taken before
  int64_t repeat_tokens = 0;  // at most, because of a second T
  double epochs = 0.0;        // of the whole run, over all T
  int64_t epoch_tokens = 0;   // of one epoch, at the T of the first stage
  double max_epochs = 1.0;
};

struct ExhaustionReport {
  std::string source;
  std::string phase;   // `stage/phase`
  int64_t step = 0;    // that holds the first row without the source
  int64_t tokens = 0;  // of the plan before that row
};

struct PlanReport {
  std::vector<PhaseReport> phases;
  std::vector<SourceReport> sources;  // in name order
  std::vector<ExhaustionReport> exhausted;
  int64_t tokens = 0;
  int64_t num_steps = 0;
};

[[nodiscard]] PlanReport describe_plan(const MixturePlan& plan);

/// Tokens of the plan before `row`.
[[nodiscard]] int64_t tokens_before(const MixturePlan& plan, int64_t row);

/// `stage/phase` that holds `row`, by name.
[[nodiscard]] std::string phase_name(const MixturePlan& plan, int64_t row);

/// Passes over each source that `taken` makes, over all T that the plan has.
[[nodiscard]] std::vector<double> epochs_of(const MixturePlan& plan, const StreamCounts& taken);

/// Rows of each source that the plan prints for the rows before `row`, since the plan's start:
/// exact at block edges, rounded down inside a block. O(1) besides finding the block.
[[nodiscard]] std::vector<int64_t> planned_rows(const MixturePlan& plan, int64_t row);

}  // namespace phalanx
