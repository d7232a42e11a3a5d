#pragma once
// All rows of one step for one data-parallel replica. The trainer cuts micro-batches by narrow().
// Plain value; CPU tensors that nothing else shares but the pool they came from, which fills them
// again when the last tensor or view of them is gone. R rows = global batch / dp_size, T targets.
#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <vector>

#include "data/mixture/ledger.h"
#include "data/mixture/row_source.h"

namespace phalanx {

struct Batch {
  at::Tensor tokens_RT;           // int64 inputs
  at::Tensor targets_RT;          // int64
  at::Tensor loss_mask_RT;        // bool; false where a target counts for nothing
  std::vector<int32_t> source_R;  // index in name order
  std::vector<std::vector<int64_t>> document_starts_R;  // positions in [0, T] where one begins
  std::vector<std::vector<int64_t>> documents_R;        // as Row::documents
  int64_t num_valid_targets = 0;                        // true entries of loss_mask_RT
  int64_t step = 0;
  Cursor cursor_after;  // resuming from it gives the next step
};

/// R rows of T targets, to be filled by put_row().
[[nodiscard]] Batch make_batch(int64_t num_rows, int64_t length);

/// Batches made in memory of earlier ones that nobody holds any more: fresh pages would take longer
/// than what is written into them. One owner; batches may be held and dropped by any thread.
/// Memory: as many batches of the last shape asked for as were ever held at once.
class BatchPool {
 public:
  [[nodiscard]] Batch make(int64_t num_rows, int64_t length);

 private:
  std::vector<std::array<at::Tensor, 3>> tensors_;  // tokens, targets, loss mask
};

/// Writes `row`, of `source`, as row `place`; rows are put in order. With document_mask the target
/// after a document's last token does not count.
void put_row(const Row& row, int32_t source, int64_t place, bool document_mask, Batch& batch);

}  // namespace phalanx
