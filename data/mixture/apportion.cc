#include "data/mixture/apportion.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace phalanx {

std::vector<int64_t> apportion(int64_t total, std::span<const int64_t> weights) {
  const int64_t sum = std::accumulate(weights.begin(), weights.end(), int64_t{0});
  std::vector<int64_t> parts(weights.size());
  std::vector<int64_t> remainders(weights.size());
  int64_t left = total;
  for (size_t k = 0; k < weights.size(); ++k) {
    const __int128 product = static_cast<__int128>(total) * weights[k];
    parts[k] = static_cast<int64_t>(product / sum);
    remainders[k] = static_cast<int64_t>(product % sum);
    left -= parts[k];
  }
  std::vector<size_t> order(weights.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return remainders[a] > remainders[b]; });
  for (int64_t i = 0; i < left; ++i) ++parts[order[static_cast<size_t>(i)]];
  return parts;
}

namespace {

// A remainder lies in (-2^47, 2^47) and a place below 2^16: greater keys are larger remainders,
// then earlier names.
int64_t order_key(int64_t remainder, size_t place) {
  return remainder * 65536 + (65535 - static_cast<int64_t>(place));
}

size_t place_of(int64_t key) { return static_cast<size_t>(65535 - (key & 65535)); }

/// Moves the `count` greatest of the keys, which all differ, to the front. The loop does not branch
/// on the keys: they are as good as random, and mispredicted branches would be most of its time.
void move_greatest(std::span<int64_t> keys, size_t count) {
  size_t begin = 0, end = keys.size();
  while (begin < count && count < end) {
    std::swap(keys[begin], keys[begin + (end - begin) / 2]);
    const int64_t pivot = keys[begin];
    size_t next = begin + 1;  // behind those greater than the pivot
    for (size_t i = next; i < end; ++i) {
      const int64_t key = keys[i];
      keys[i] = keys[next];
      keys[next] = key;
      next += key > pivot;
    }
    std::swap(keys[begin], keys[next - 1]);
    if (count < next) {
      end = next - 1;
    } else {
      begin = next;
    }
  }
}

}  // namespace

bool BlockDivider::hand_out(int64_t left, std::span<const int64_t> share,
                            std::span<const int64_t> limit, std::span<const int64_t> due,
                            std::span<int32_t> rows) {
  const int sign = left > 0 ? 1 : -1;  // rows are taken back from the smallest keys
  order_.clear();
  for (size_t k = 0; k < due.size(); ++k) {
    const bool open =
        left > 0 ? share[k] > 0 && (limit.empty() || rows[k] < limit[k]) : rows[k] > 0;
    if (open) order_.push_back(sign * order_key(due[k] - rows[k] * kUnit, k));
  }
  if (order_.empty()) return false;
  const auto count = static_cast<size_t>(sign * left);
  if (count < order_.size()) {
    move_greatest(order_, count);
    order_.resize(count);
  }
  for (const int64_t key : order_) rows[place_of(sign * key)] += sign;
  return true;
}

bool BlockDivider::divide(int64_t num_rows, std::span<const int64_t> share,
                          std::span<const int64_t> limit, std::span<int64_t> due,
                          std::span<int32_t> rows) {
  int64_t left = num_rows;
  for (size_t k = 0; k < due.size(); ++k) {
    rows[k] = share[k] > 0 ? static_cast<int32_t>(std::max<int64_t>(0, due[k] >> 32)) : 0;
    left -= rows[k];
  }
  while (left != 0) {
    if (!hand_out(left, share, limit, due, rows)) return false;
    int64_t sum = 0;
    for (int32_t given : rows) sum += given;
    left = num_rows - sum;
  }
  for (size_t k = 0; k < due.size(); ++k) due[k] -= rows[k] * kUnit;
  return true;
}

}  // namespace phalanx
