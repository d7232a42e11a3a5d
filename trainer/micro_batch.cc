#include "trainer/micro_batch.h"

#include <ATen/ops/arange.h>

#include <numeric>

namespace phalanx {
namespace {

/// Segments between document starts of one row, the row's own beginning included.
void add_segments(const std::vector<int64_t>& starts, int64_t row, int64_t length,
                  std::vector<Segment>& segments) {
  int64_t begin = 0;
  for (const int64_t start : starts) {
    if (start == 0 || start == length) continue;
    segments.push_back({row, begin, start});
    begin = start;
  }
  segments.push_back({row, begin, length});
}

/// To a GPU through pinned memory, so that the host goes on before the copy has been made.
at::Tensor on_device(const at::Tensor& x, at::Device device) {
  return device.is_cuda() ? x.pin_memory().to(device, /*non_blocking=*/true) : x.to(device);
}

}  // namespace

TokenBatch micro_batch(const Batch& batch, int64_t first_row, int64_t num_rows,
                       const RopeTable& rope, const MicroBatchOptions& options) {
  const int64_t length = batch.tokens_RT.size(1);
  const auto cut = [&](const at::Tensor& x_RT) {
    return on_device(x_RT.narrow(0, first_row, num_rows), options.device);
  };
  const at::Tensor positions_BT = at::arange(length, at::kLong).repeat({num_rows, 1});
  TokenBatch result{
      cut(batch.tokens_RT), cut(batch.targets_RT), cut(batch.loss_mask_RT), {}, {}, &rope};
  if (options.document_mask) {
    for (int64_t row = 0; row < num_rows; ++row) {
      add_segments(batch.document_starts_R[first_row + row], row, length, result.segments);
    }
    int64_t* position = positions_BT.mutable_data_ptr<int64_t>();
    for (const Segment& s : result.segments) {
      int64_t* row = position + s.sequence * length;
      std::iota(row + s.begin, row + s.end, int64_t{0});
    }
  }
  result.positions_BT = on_device(positions_BT, options.device);
  if (options.device.is_cuda() && options.document_mask) {
    result.segment_offsets = segment_offsets(result.segments, length, options.device);
  }
  return result;
}

}  // namespace phalanx
