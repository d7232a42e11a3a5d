#pragma once
// From a stored cursor and the configuration at hand to the plan that goes on from there.
// Local, pure. Errors are std::invalid_argument. SEMANTICS.md section 9.
#include <memory>
#include <string>
#include <vector>

#include "data/mixture/ledger.h"
#include "data/mixture/row_schedule.h"

namespace phalanx {

enum class CurriculumFrom { kStart, kResume };  // `curriculum_from`

struct PlannedRun {
  std::shared_ptr<const MixturePlan> plan;
  Cursor cursor;
};

/// A new run, with nothing taken or (a fork) with what `ledger` had taken.
[[nodiscard]] PlannedRun begin_run(const Curriculum& curriculum, std::vector<SourceInfo> sources,
                                   const Cursor* ledger = nullptr);

/// Goes on at `cursor`. With kStart the schedule before the cursor must be what it was, else the
/// error names the first phase that differs. With kResume another schedule, before or after the
/// cursor, begins there in a new segment; the same one goes on in its own.
[[nodiscard]] PlannedRun resume_run(const Curriculum& curriculum, std::vector<SourceInfo> sources,
                                    const Cursor& cursor, CurriculumFrom from);

/// The cursor at the beginning of `step` (up to end_step()) of the plan that `cursor` belongs to.
[[nodiscard]] Cursor cursor_at(RowSchedule& schedule, const Cursor& cursor, int64_t step);

/// Passes over `num_steps` steps (a loss spike): they count as taken and are noted in the ledger.
[[nodiscard]] Cursor skip_steps(RowSchedule& schedule, const Cursor& cursor, int64_t num_steps);

/// Notes rows of the newest segment, after those noted before, as passed over without training.
void note_skipped(Cursor& cursor, int64_t first_row, int64_t end_row);

/// The segment of the ledger under which `step` was read, or will be.
[[nodiscard]] size_t segment_of(const Cursor& cursor, int64_t step);

/// The ledger as it stood where `segment` ended; the cursor itself for the last one. resume_run()
/// from it, with the curriculum of that time, gives the plan that the segment followed, checked.
[[nodiscard]] Cursor ledger_until(const Cursor& cursor, size_t segment);

/// Was `row` passed over without training?
[[nodiscard]] bool was_skipped(const Cursor& cursor, int64_t row);

}  // namespace phalanx
