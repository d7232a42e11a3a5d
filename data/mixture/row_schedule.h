#pragma once
// Which window of which source each row of a step is: the whole order of the data, without reading
// any. Local; one thread an object (it keeps the block at hand). SEMANTICS.md sections 6 to 8.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "data/mixture/block_draw.h"
#include "data/mixture/epoch_order.h"
#include "data/mixture/mixture_plan.h"

namespace phalanx {

struct RowDraw {
  int32_t source = 0;  // in name order
  int64_t draw = 0;    // in its stream
  int64_t epoch = 0;
  int64_t window = 0;
};

class RowSchedule {
 public:
  explicit RowSchedule(std::shared_ptr<const MixturePlan> plan);

  const MixturePlan& plan() const { return *plan_; }
  /// All rows of a step, in the order in which replicas cut them up. A step after the last one
  /// asked for costs its own rows, any other at most one block's draws besides.
  [[nodiscard]] std::vector<RowDraw> step(int64_t step);
  /// Rows that each stream has given before `row` of [first_row(), end_row()], with what the start
  /// had taken.
  [[nodiscard]] StreamCounts taken_at(int64_t row);
  /// Blocks drawn so far: the work that jumps have cost.
  int64_t num_blocks_drawn() const { return num_blocks_drawn_; }

 private:
  void seek(int64_t row);
  void load_block(int64_t block);
  RowDraw next_row();

  std::shared_ptr<const MixturePlan> plan_;
  int64_t block_ = -1;
  int64_t row_ = -1;             // next row
  std::vector<uint16_t> draws_;  // of the block
  std::vector<int64_t> given_;   // draws of each source's stream before row_
  struct Epoch {
    int64_t number;
    int32_t stage;
    EpochOrder order;
  };
  std::vector<std::optional<Epoch>> epochs_;  // the last of each source
  int64_t num_blocks_drawn_ = 0;
};

}  // namespace phalanx
