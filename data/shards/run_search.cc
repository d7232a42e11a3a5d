#include "data/shards/run_search.h"

#include <algorithm>
#include <array>

namespace phalanx {
namespace {

constexpr int64_t kWindow = 128;  // entries

/// Entries [begin, end) hold the place; the entries beside them, if any, have these keys at most
/// and at least.
struct Range {
  int64_t begin = 0, end = 0;
  uint64_t low = 0, high = UINT64_MAX;

  int64_t size() const { return end - begin; }
  /// Where `key` would be if keys lay evenly.
  int64_t reckon(uint64_t key) const {
    if (key <= low || low >= high) return begin;
    const double share = static_cast<double>(key - low) / static_cast<double>(high - low);
    return begin + static_cast<int64_t>(std::min(share, 1.0) * static_cast<double>(size()));
  }
};

}  // namespace

int64_t count_before(const OrderKey& order, int64_t num_entries, const ReadEntries& read) {
  Range range{.end = num_entries};
  std::array<RunEntry, kWindow> buffer;
  // Every other guess is the middle, so that keys that do not lie evenly cost no more than twice
  // the halvings.
  for (bool reckoned = true; range.size() > 0; reckoned = !reckoned) {
    const int64_t size = std::min(range.size(), kWindow);
    const int64_t guess = reckoned ? range.reckon(order.key) : range.begin + range.size() / 2;
    const int64_t first = std::clamp(guess - size / 2, range.begin, range.end - size);
    const auto window = std::span(buffer).first(static_cast<size_t>(size));
    read(first, window);
    const auto place = std::lower_bound(
        window.begin(), window.end(), order,
        [](const RunEntry& entry, const OrderKey& key) { return entry.order < key; });
    if (place == window.begin()) {
      range.end = first;
      range.high = window.front().order.key;
    } else if (place == window.end()) {
      range.begin = first + size;
      range.low = window.back().order.key;
    } else {
      return first + (place - window.begin());
    }
  }
  return range.begin;
}

}  // namespace phalanx
