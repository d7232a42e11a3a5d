#pragma once
// Fills the blocks of a plan, in order: quantises every span of every phase and watches the caps.
// Local; used by make_plan() only. SEMANTICS.md sections 3 to 5.
#include <cstdint>
#include <vector>

#include "data/mixture/apportion.h"
#include "data/mixture/mixture_plan.h"
#include "data/mixture/schedule_span.h"

namespace phalanx {

class PlanMaker {
 public:
  /// `plan` has its curriculum, sources, start, phases and steps; the rest is filled by run().
  explicit PlanMaker(MixturePlan& plan);
  void run();

 private:
  void reserve_blocks(const std::vector<PlanPhase>& phases);
  void begin_stage(int32_t stage);
  void plan_phase(const PlanPhase& phase);
  void plan_span(ScheduleSpan span);
  /// Plans blocks up to the end of the span or the next event; returns the rows planned.
  int64_t plan_blocks(const ScheduleSpan& span);
  int64_t rows_until_cap(const ScheduleSpan& span, int64_t from_row, int64_t num_rows);
  void shares_between(const ScheduleSpan& span, int64_t from_row, int64_t to_row);
  void add_block(int64_t first_row, int64_t num_rows);
  /// Marks sources that the span still mixes but that have no rows left at `row` of the run; true
  /// if there are any.
  bool drop_exhausted(const ScheduleSpan& span, int64_t row);
  [[noreturn]] void fail_nothing_left(int64_t row) const;

  MixturePlan& plan_;
  const size_t num_sources_;
  BlockDivider divider_;
  std::vector<int64_t> owed_;   // debts, in 1/2^32 rows
  std::vector<int64_t> share_;  // of the block at hand
  std::vector<uint64_t> ends_[2];
  std::vector<int64_t> due_;
  std::vector<int32_t> rows_;
  std::vector<int64_t> limit_;  // rows a source may still give at the stage's T; empty: no limits
  std::vector<bool> in_use_;
  std::vector<int64_t> last_mix_;  // at the end of the previous phase, all sources
  std::vector<uint64_t> name_hash_;
  uint64_t phase_hash_ = 0;
  int32_t phase_index_ = 0;
};

}  // namespace phalanx
