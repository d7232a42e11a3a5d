#pragma once
// Fills a rectangle of a logical matrix with deviation * normal_draw(key, logical element).
// Local. CUDA: on the current stream, the same bits as on CPU.
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace phalanx {

/// w_RC (fp32, contiguous) is rows [first_row, ...) and columns [first_column, ...) of a logical
/// matrix with full_columns columns.
struct LogicalWindow {
  int64_t first_row = 0;
  int64_t first_column = 0;
  int64_t full_columns = 0;
};

void normal_fill_(const at::Tensor& w_RC, const LogicalWindow& window, uint64_t key,
                  float deviation);

/// The CUDA twin; throws std::invalid_argument in a build without CUDA.
void normal_fill_cuda_(const at::Tensor& w_RC, const LogicalWindow& window, uint64_t key,
                       float deviation);

}  // namespace phalanx
