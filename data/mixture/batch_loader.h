#pragma once
// The batches of a run, one step after another: a pure function of (curriculum, seed, cursor). The
// ids of a step do not depend on dp_size, only their division among the replicas does.
// Local: every data-parallel replica has its own loader and reads its own rows; tensor-parallel
// peers each read the same. One thread an object. SEMANTICS.md section 8.
#include <cstdint>
#include <memory>
#include <vector>

#include "data/mixture/batch.h"
#include "data/mixture/read_ahead.h"
#include "data/mixture/resume.h"
#include "data/mixture/row_schedule.h"
#include "data/mixture/row_source.h"

namespace phalanx {

class BatchLoader {
 public:
  /// Throws std::invalid_argument if dp_size does not divide the rows of some step still to come,
  /// or a source that the plan draws from is missing or has another number of rows than the plan
  /// says.
  BatchLoader(PlannedRun run, StageSources sources, int64_t dp_rank, int64_t dp_size);

  bool done() const { return cursor_.step == schedule_.plan().end_step(); }
  /// The next step. Throws what a source throws, and std::invalid_argument past the last step.
  [[nodiscard]] Batch next();
  /// Passes over steps without reading them.
  void skip(int64_t num_steps) { cursor_ = skip_steps(schedule_, cursor_, num_steps); }
  const Cursor& cursor() const { return cursor_; }
  /// What this loader reads, for who tells the sources what comes next.
  ReadAhead read_ahead(int64_t steps_ahead) const {
    return ReadAhead(plan_, sources_, steps_ahead);
  }

 private:
  void check_sources() const;
  void fill_row(const RowDraw& draw, int32_t stage, int64_t place, Batch& batch);

  std::shared_ptr<const MixturePlan> plan_;
  RowSchedule schedule_;
  StageSources sources_;
  Cursor cursor_;
  int64_t dp_rank_;
  int64_t dp_size_;
  Row row_;  // scratch
  BatchPool pool_;
};

}  // namespace phalanx
