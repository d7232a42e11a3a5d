#pragma once
// The plan of a run, made before its first step: blocks with an integer count for each source,
// their prefix sums, and the grid of steps. Every position is O(1) away. Local; immutable after
// make_plan(), so any number of threads may read it. SEMANTICS.md sections 1 to 5 and 9.
// Memory: 8 bytes a block and source. Sources are indexed in name order.
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "data/mixture/curriculum.h"
#include "data/mixture/schedule_span.h"

namespace phalanx {

/// Rows given by each stream of a source: source name -> T -> rows.
using StreamCounts = std::map<std::string, std::map<int64_t, int64_t>>;

/// What the data sets say of a source: rows of one epoch at the T of each stage.
struct SourceInfo {
  std::string name;
  std::string fingerprint;
  std::vector<int64_t> rows_by_stage;
  int64_t shuffle_window = 0;  // shards; 0: all
  /// With shuffle_window: for each stage what RowSource::shard_rows() says.
  std::vector<std::vector<int64_t>> shard_rows_by_stage = {};
};

/// Where a plan begins: row 0 of a new run, or the cursor at which its curriculum was changed.
struct PlanStart {
  int64_t row = 0;
  int64_t step = 0;
  StreamCounts taken;
};

struct PlanBlock {
  int64_t first_row = 0;
  int32_t num_rows = 0;
  int32_t phase = 0;  // index into MixturePlan::phases
};

struct PlanPhase {
  int32_t stage = 0;
  int32_t phase = 0;  // in its stage
  int64_t first_row = 0;
  int64_t end_row = 0;
  int64_t first_block = 0;
  int64_t end_block = 0;
};

/// Consecutive steps of equal size.
struct StepSpan {
  int32_t stage = 0;
  int64_t first_step = 0;
  int64_t first_row = 0;
  int64_t end_row = 0;
  int64_t rows_per_step = 0;
};

struct StepRange {
  int64_t first_row = 0;
  int64_t num_rows = 0;
  int32_t stage = 0;
};

/// A span as it was planned: `num_rows` of its rows, fewer where an event cut it short.
struct PlannedSpan {
  ScheduleSpan span;
  int64_t num_rows = 0;
};

/// A source that is out for the rest of the run, from `row` on.
struct Exhaustion {
  int32_t source = 0;
  int64_t row = 0;
};

struct MixturePlan {
  Curriculum curriculum;
  std::vector<SourceInfo> sources;  // in name order
  PlanStart start;
  std::vector<PlanPhase> phases;  // those with rows in the plan
  std::vector<StepSpan> steps;
  std::vector<PlanBlock> blocks;
  std::vector<int64_t> prefix;       // [block][source]: rows given since the plan's start
  std::vector<uint64_t> block_hash;  // of its phase up to and including the block
  std::vector<std::vector<int64_t>>
      stream_base;                         // [stage][source]: draws at its T before the stage
  std::vector<int64_t> stage_first_block;  // and one past the end
  std::vector<PlannedSpan> spans;          // the effective schedule, from the plan's start on
  std::vector<Exhaustion> exhausted;       // in the order of their rows
  uint64_t hash = 0;

  size_t num_sources() const { return sources.size(); }
  int64_t first_row() const { return start.row; }
  int64_t end_row() const { return steps.empty() ? start.row : steps.back().end_row; }
  int64_t end_step() const;
  /// The block that holds `row`, of [first_row(), end_row()).
  int64_t find_block(int64_t row) const;
  std::span<const int64_t> prefix_at(int64_t block) const;
  int64_t rows_in_block(int64_t block, size_t source) const;
  /// Draws of the source's stream (its T is that of the block's stage) before the block.
  int64_t stream_draws(int64_t block, size_t source) const;
  /// Throws std::invalid_argument if the run has no such step.
  StepRange step_rows(int64_t step) const;
  /// The step that begins at `row`; throws std::invalid_argument if none does.
  int64_t step_at(int64_t row) const;
};

/// Throws std::invalid_argument: a source without rows, a shortage (names every source and the
/// tokens it lacks), a repetition at a second T that the stage does not allow.
[[nodiscard]] MixturePlan make_plan(const Curriculum& curriculum, std::vector<SourceInfo> sources,
                                    PlanStart start = {});

}  // namespace phalanx
