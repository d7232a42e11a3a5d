#pragma once
// A stretch of the schedule over which the mix is constant or moves linearly, with its exact
// integral. Local, pure. Units: rows, and 1/2^32 rows (kUnit). SEMANTICS.md section 3.
#include <cstdint>
#include <span>
#include <vector>

namespace phalanx {

struct ScheduleSpan {
  int64_t first_row = 0;
  int64_t num_rows = 0;
  std::vector<int64_t> from;  // weights at its first row, sum 2^32
  std::vector<int64_t> to;    // and at its end
};

inline constexpr int64_t kMaxBlockRows = 65536;

int64_t block_rows(const ScheduleSpan& span);

/// What each source is due of the first `rows` rows of the span, in 1/2^32 rows modulo 2^64 (so the
/// difference between the ends of a block is exact). Sums to exactly `rows`: the heaviest source
/// takes what rounding leaves.
void span_integral(const ScheduleSpan& span, int64_t rows, std::span<uint64_t> integral);

/// The mix at `row` of the span, over the sources with `in_use` only; all zero if nothing is left.
std::vector<int64_t> mix_at(const ScheduleSpan& span, int64_t row, const std::vector<bool>& in_use);

/// `weights` over the sources with `in_use` only, summing to 2^32 again; all zero if nothing is
/// left.
std::vector<int64_t> renormalize(const std::vector<int64_t>& weights,
                                 const std::vector<bool>& in_use);

/// The span without its first `rows` rows, over the sources with `in_use` only.
ScheduleSpan rest_of(const ScheduleSpan& span, int64_t rows, const std::vector<bool>& in_use);

}  // namespace phalanx
