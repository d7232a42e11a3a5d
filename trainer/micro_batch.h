#pragma once
// Cuts a replica's rows of a step into what the model takes. Local.
#include <ATen/core/Tensor.h>

#include <cstdint>

#include "data/mixture/batch.h"
#include "model/token_batch.h"

namespace phalanx {

struct MicroBatchOptions {
  bool document_mask = false;  // documents attend among themselves, positions restart
  at::Device device = at::kCPU;
};

/// Rows [first_row, first_row + num_rows) of the batch; rope must outlive the result.
TokenBatch micro_batch(const Batch& batch, int64_t first_row, int64_t num_rows,
                       const RopeTable& rope, const MicroBatchOptions& options);

}  // namespace phalanx
