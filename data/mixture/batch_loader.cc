#include "data/mixture/batch_loader.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace phalanx {

BatchLoader::BatchLoader(PlannedRun run, StageSources sources, int64_t dp_rank, int64_t dp_size)
    : plan_(run.plan),
      schedule_(run.plan),
      sources_(std::move(sources)),
      cursor_(std::move(run.cursor)),
      dp_rank_(dp_rank),
      dp_size_(dp_size) {
  if (dp_size < 1 || dp_rank < 0 || dp_rank >= dp_size) {
    throw std::invalid_argument(fmt::format(
        "data-parallel rank: expected one of the {} replicas, found rank {}", dp_size, dp_rank));
  }
  for (const StepSpan& span : plan_->steps) {
    if (span.end_row <= cursor_.row || span.rows_per_step % dp_size == 0) continue;
    throw std::invalid_argument(fmt::format(
        "{}.global_batch_size: expected a multiple of the {} data-parallel replicas, found {}",
        plan_->curriculum.stages[static_cast<size_t>(span.stage)].path, dp_size,
        span.rows_per_step));
  }
  check_sources();
}

void BatchLoader::check_sources() const {
  if (sources_.size() != plan_->curriculum.stages.size()) {
    throw std::invalid_argument(fmt::format("row sources: expected those of {} stages, found {}",
                                            plan_->curriculum.stages.size(), sources_.size()));
  }
  for (size_t s = 0; s < sources_.size(); ++s) {
    if (sources_[s].size() != plan_->num_sources()) {
      throw std::invalid_argument(fmt::format("row sources of {}: expected {}, found {}",
                                              plan_->curriculum.stages[s].path,
                                              plan_->num_sources(), sources_[s].size()));
    }
    for (size_t k = 0; k < sources_[s].size(); ++k) {
      const SourceInfo& info = plan_->sources[k];
      const int64_t drawn = plan_->prefix_at(plan_->stage_first_block[s + 1])[k] -
                            plan_->prefix_at(plan_->stage_first_block[s])[k];
      const int64_t found = sources_[s][k] ? sources_[s][k]->num_rows() : 0;
      if (drawn == 0 || found == info.rows_by_stage[s]) continue;
      throw std::invalid_argument(fmt::format(
          "data.sources.{}: expected the {} rows of {} tokens that the plan was made for, found {}",
          info.name, info.rows_by_stage[s], plan_->curriculum.stages[s].sequence_length, found));
    }
  }
}

Batch BatchLoader::next() {
  const StepRange range = plan_->step_rows(cursor_.step);
  const int64_t rows = range.num_rows / dp_size_;
  const int64_t length = plan_->curriculum.stages[static_cast<size_t>(range.stage)].sequence_length;
  const std::vector<RowDraw> draws = schedule_.step(cursor_.step);
  Batch batch = pool_.make(rows, length);
  batch.step = cursor_.step;
  for (int64_t r = 0; r < rows; ++r) {
    fill_row(draws[static_cast<size_t>(dp_rank_ * rows + r)], range.stage, r, batch);
  }
  cursor_ = cursor_at(schedule_, cursor_, cursor_.step + 1);
  batch.cursor_after = cursor_;
  return batch;
}

void BatchLoader::fill_row(const RowDraw& draw, int32_t stage, int64_t place, Batch& batch) {
  const auto k = static_cast<size_t>(draw.source);
  const int64_t length = batch.tokens_RT.size(1);
  row_.documents.clear();
  row_.document_starts.clear();
  row_.masked_targets.clear();
  sources_[static_cast<size_t>(stage)][k]->read(draw.window, row_);
  if (static_cast<int64_t>(row_.tokens.size()) != length + 1 || row_.num_valid_targets < 0 ||
      row_.num_valid_targets > length) {
    throw std::logic_error(
        fmt::format("source {} gave {} tokens and {} valid targets for a row of {}",
                    plan_->sources[k].name, row_.tokens.size(), row_.num_valid_targets, length));
  }
  put_row(row_, draw.source, place, plan_->curriculum.document_mask, batch);
}

}  // namespace phalanx
