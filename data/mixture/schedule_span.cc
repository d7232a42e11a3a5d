#include "data/mixture/schedule_span.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/mixture/apportion.h"

namespace phalanx {
namespace {

// Rows are below 2^41 and weights at most 2^32, so 2 L a j stays below 2^116.
uint64_t source_integral(const ScheduleSpan& span, size_t k, int64_t rows) {
  const __int128 length = span.num_rows;
  const __int128 j = rows;
  const __int128 slope = span.to[k] - span.from[k];
  return static_cast<uint64_t>((2 * length * span.from[k] * j + slope * j * j) / (2 * length));
}

int64_t integer_root(int64_t value) {
  auto root = static_cast<int64_t>(std::sqrt(static_cast<double>(value)));
  while (root * root > value) --root;
  while ((root + 1) * (root + 1) <= value) ++root;
  return root;
}

}  // namespace

int64_t block_rows(const ScheduleSpan& span) {
  if (span.from == span.to) return kMaxBlockRows;
  return std::clamp<int64_t>(integer_root(span.num_rows), 1, kMaxBlockRows);
}

void span_integral(const ScheduleSpan& span, int64_t rows, std::span<uint64_t> integral) {
  if (span.from == span.to) {
    for (size_t k = 0; k < integral.size(); ++k) {
      integral[k] = static_cast<uint64_t>(span.from[k]) * static_cast<uint64_t>(rows);
    }
    return;
  }
  size_t absorber = 0;
  int64_t heaviest = -1;
  uint64_t sum = 0;
  for (size_t k = 0; k < integral.size(); ++k) {
    integral[k] = source_integral(span, k, rows);
    sum += integral[k];
    if (span.from[k] + span.to[k] > heaviest) {
      heaviest = span.from[k] + span.to[k];
      absorber = k;
    }
  }
  integral[absorber] += static_cast<uint64_t>(rows) * static_cast<uint64_t>(kUnit) - sum;
}

std::vector<int64_t> renormalize(const std::vector<int64_t>& weights,
                                 const std::vector<bool>& in_use) {
  std::vector<int64_t> left(weights.size(), 0);
  int64_t sum = 0;
  for (size_t k = 0; k < weights.size(); ++k) {
    if (in_use[k]) sum += left[k] = weights[k];
  }
  return sum == 0 || sum == kUnit ? left : apportion(kUnit, left);
}

std::vector<int64_t> mix_at(const ScheduleSpan& span, int64_t row,
                            const std::vector<bool>& in_use) {
  std::vector<int64_t> weights(span.from.size());
  for (size_t k = 0; k < weights.size(); ++k) {
    const __int128 length = span.num_rows;
    const __int128 slope = span.to[k] - span.from[k];
    // Both terms together are not negative, so that the division rounds down.
    weights[k] = static_cast<int64_t>((span.from[k] * length + slope * row) / length);
  }
  return renormalize(weights, in_use);
}

ScheduleSpan rest_of(const ScheduleSpan& span, int64_t rows, const std::vector<bool>& in_use) {
  return {span.first_row + rows, span.num_rows - rows, mix_at(span, rows, in_use),
          renormalize(span.to, in_use)};
}

}  // namespace phalanx
