#pragma once
// Where the elements of a slice (a range of one dimension, all of the others) lie in the full
// tensor. Both are flattened in row-major order; the slice is `width` elements out of each
// `stride`, from `start` on.
//
// Local, pure arithmetic. Units are elements.
#include <cstdint>
#include <functional>
#include <vector>

#include "parallel/shard_spec.h"

namespace phalanx {

struct SliceLayout {
  int64_t stride = 0;  // of the full tensor, between two runs of the slice
  int64_t start = 0;   // of the first run
  int64_t width = 0;   // of each run
  int64_t numel = 0;   // of the slice
};

[[nodiscard]] SliceLayout slice_layout(const std::vector<int64_t>& full_shape, int64_t dim,
                                       Range range);

/// Elements that lie one after another both in the full tensor and in the slice.
struct Run {
  int64_t full = 0;   // first element, in the full tensor
  int64_t slice = 0;  // the same element, in the slice
  int64_t numel = 0;
};
using VisitRun = std::function<void(const Run&)>;

/// The runs of elements [range) of the slice, in order.
void visit_runs(const SliceLayout& layout, Range slice_range, const VisitRun& visit);

/// The runs of the slice's elements [slice_range) that lie in elements [full_range) of the full
/// tensor, in order.
void visit_overlap(const SliceLayout& layout, Range slice_range, Range full_range,
                   const VisitRun& visit);

}  // namespace phalanx
