#include "data/mixture/row_schedule.h"

#include <fmt/format.h>

#include <stdexcept>

namespace phalanx {

RowSchedule::RowSchedule(std::shared_ptr<const MixturePlan> plan)
    : plan_(std::move(plan)), given_(plan_->num_sources(), 0), epochs_(plan_->num_sources()) {}

void RowSchedule::load_block(int64_t block) {
  std::vector<int64_t> counts(plan_->num_sources());
  for (size_t k = 0; k < counts.size(); ++k) {
    counts[k] = plan_->rows_in_block(block, k);
    given_[k] = plan_->stream_draws(block, k);
  }
  draws_ = draw_block(counts);
  block_ = block;
  row_ = plan_->blocks[static_cast<size_t>(block)].first_row;
  ++num_blocks_drawn_;
}

void RowSchedule::seek(int64_t row) {
  if (row == row_) return;
  const int64_t block = plan_->find_block(row);
  if (block != block_ || row < row_) load_block(block);
  const int64_t first = plan_->blocks[static_cast<size_t>(block)].first_row;
  for (; row_ < row; ++row_) ++given_[draws_[static_cast<size_t>(row_ - first)]];
}

RowDraw RowSchedule::next_row() {
  if (block_ < 0 || row_ == plan_->blocks[static_cast<size_t>(block_)].first_row +
                                plan_->blocks[static_cast<size_t>(block_)].num_rows) {
    load_block(block_ < 0 ? plan_->find_block(row_) : block_ + 1);
  }
  const PlanBlock& block = plan_->blocks[static_cast<size_t>(block_)];
  const int32_t stage = plan_->phases[static_cast<size_t>(block.phase)].stage;
  const size_t k = draws_[static_cast<size_t>(row_++ - block.first_row)];
  const int64_t size = plan_->sources[k].rows_by_stage[static_cast<size_t>(stage)];
  RowDraw row;
  row.source = static_cast<int32_t>(k);
  row.draw = given_[k]++;
  row.epoch = row.draw / size;
  std::optional<Epoch>& epoch = epochs_[k];
  if (!epoch || epoch->number != row.epoch || epoch->stage != stage) {
    epoch = {row.epoch, stage,
             EpochOrder(plan_->curriculum.seed, plan_->sources[k], static_cast<size_t>(stage),
                        row.epoch)};
  }
  row.window = epoch->order(row.draw % size);
  return row;
}

std::vector<RowDraw> RowSchedule::step(int64_t step) {
  const StepRange range = plan_->step_rows(step);
  seek(range.first_row);
  const KeyedPermutation order(range.num_rows, step_key(plan_->curriculum.seed, range.first_row));
  std::vector<RowDraw> drawn(static_cast<size_t>(range.num_rows));
  for (RowDraw& row : drawn) row = next_row();
  std::vector<RowDraw> ordered(drawn.size());
  for (size_t q = 0; q < drawn.size(); ++q) {
    ordered[q] = drawn[static_cast<size_t>(order(static_cast<int64_t>(q)))];
  }
  return ordered;
}

StreamCounts RowSchedule::taken_at(int64_t row) {
  if (row < plan_->first_row() || row > plan_->end_row()) {
    throw std::invalid_argument(
        fmt::format("row: expected {} to {}, found {}", plan_->first_row(), plan_->end_row(), row));
  }
  StreamCounts taken = plan_->start.taken;
  const auto& stages = plan_->curriculum.stages;
  const bool at_end = row == plan_->end_row();
  int64_t block = static_cast<int64_t>(plan_->blocks.size());
  std::vector<int64_t> inside(plan_->num_sources(), 0);  // of the block that holds `row`
  if (!at_end) {
    block = plan_->find_block(row);
    if (plan_->blocks[static_cast<size_t>(block)].first_row < row) {
      seek(row);
      for (size_t k = 0; k < inside.size(); ++k)
        inside[k] = given_[k] - plan_->stream_draws(block_, k);
      block = block_;
    }
  }
  for (size_t s = 0; s < stages.size(); ++s) {
    const int64_t first = plan_->stage_first_block[s];
    const int64_t end = std::min(block, plan_->stage_first_block[s + 1]);
    const bool holds = !at_end && block >= first && block < plan_->stage_first_block[s + 1];
    if (end < first) break;
    for (size_t k = 0; k < inside.size(); ++k) {
      const int64_t rows =
          plan_->prefix_at(end)[k] - plan_->prefix_at(first)[k] + (holds ? inside[k] : 0);
      if (rows > 0) taken[plan_->sources[k].name][stages[s].sequence_length] += rows;
    }
  }
  return taken;
}

}  // namespace phalanx
