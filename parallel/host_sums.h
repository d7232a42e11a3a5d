#pragma once
// The one piece of arithmetic that all host communicators share: element-wise sums and maxima of
// several buffers, taken in the order given, or sums by a tree over them.
//
// Local. Works on the calling thread.
// Order: ((inputs[0] + inputs[1]) + inputs[2]) + ...; bf16 is widened to fp32 and rounded once, to
// nearest even, after the last addition; integer sums wrap around. A NaN anywhere makes the maximum
// NaN.
// Errors: a dtype other than float32, float64, bfloat16, int32 or int64 is a c10::Error.
#include <c10/core/ScalarType.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "parallel/communicator.h"

namespace phalanx {

/// output[i] = op over k of inputs[k][i] for i < count. inputs holds at least one buffer; output
/// may be exactly one of them but must not overlap them in another way.
void reduce_in_order(std::byte* output, std::span<const std::byte* const> inputs, int64_t count,
                     at::ScalarType dtype, ReduceOp op);

/// output[i] = sum over k of inputs[k][i], added as SumOrder::kTreeOrder says. Buffers as above.
void sum_in_tree(std::byte* output, std::span<const std::byte* const> inputs, int64_t count,
                 at::ScalarType dtype);

/// The sum of reduce_in_order() or of sum_in_tree().
void sum_in(SumOrder order, std::byte* output, std::span<const std::byte* const> inputs,
            int64_t count, at::ScalarType dtype);

/// First element of slice `index` when `count` elements are cut into `parts` nearly equal slices
/// whose edges are multiples of 16 elements (one cache line of fp32). index may be `parts`.
int64_t slice_begin(int64_t count, int parts, int index);

}  // namespace phalanx
