#include "trainer/checkpoint/slice_layout.h"

#include <algorithm>
#include <utility>

namespace phalanx {

SliceLayout slice_layout(const std::vector<int64_t>& full_shape, int64_t dim, Range range) {
  int64_t outer = 1, inner = 1;
  for (int64_t i = 0; i < static_cast<int64_t>(full_shape.size()); ++i) {
    if (i < dim) outer *= full_shape[i];
    if (i > dim) inner *= full_shape[i];
  }
  const int64_t size = full_shape.empty() ? 1 : full_shape[dim];
  // The whole tensor is one run, whatever dimension it was said to be cut on.
  if (range.size() == size) inner *= std::exchange(outer, 1);
  return {size * inner, range.begin * inner, range.size() * inner, outer * range.size() * inner};
}

void visit_runs(const SliceLayout& layout, Range slice_range, const VisitRun& visit) {
  for (int64_t at = slice_range.begin; at < slice_range.end;) {
    const int64_t row = at / layout.width;
    const int64_t column = at % layout.width;
    const int64_t numel = std::min(layout.width - column, slice_range.end - at);
    visit({row * layout.stride + layout.start + column, at, numel});
    at += numel;
  }
}

void visit_overlap(const SliceLayout& layout, Range slice_range, Range full_range,
                   const VisitRun& visit) {
  if (slice_range.size() <= 0 || full_range.size() <= 0) return;
  const int64_t first_row =
      std::max(full_range.begin / layout.stride, slice_range.begin / layout.width);
  const int64_t last_row =
      std::min((full_range.end - 1) / layout.stride, (slice_range.end - 1) / layout.width);
  for (int64_t row = first_row; row <= last_row; ++row) {
    // Adding `to_full` to an element of this row's run in the slice gives it in the full tensor.
    const int64_t to_full = row * (layout.stride - layout.width) + layout.start;
    const int64_t begin =
        std::max({row * layout.width, slice_range.begin, full_range.begin - to_full});
    const int64_t end =
        std::min({(row + 1) * layout.width, slice_range.end, full_range.end - to_full});
    if (begin < end) visit({begin + to_full, begin, end - begin});
  }
}

}  // namespace phalanx
