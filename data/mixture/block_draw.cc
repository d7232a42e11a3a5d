#include "data/mixture/block_draw.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace phalanx {
namespace {

// A row of the block and a source (below 2^16) in one integer, ordered by row, then by name.
int64_t key_of(int64_t row, size_t source) { return row * 65536 + static_cast<int64_t>(source); }

void push(std::vector<int64_t>& heap, int64_t key) {
  heap.push_back(key);
  std::push_heap(heap.begin(), heap.end(), std::greater<>());
}

int64_t pop(std::vector<int64_t>& heap) {
  std::pop_heap(heap.begin(), heap.end(), std::greater<>());
  const int64_t key = heap.back();
  heap.pop_back();
  return key;
}

}  // namespace

std::vector<uint16_t> draw_block(std::span<const int64_t> counts) {
  const int64_t num_rows = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  std::vector<int64_t> given(counts.size(), 0);
  std::vector<int64_t> waiting;   // by release
  std::vector<int64_t> released;  // by due row
  for (size_t k = 0; k < counts.size(); ++k) {
    if (counts[k] > 0) push(waiting, key_of(0, k));
  }
  std::vector<uint16_t> draws(static_cast<size_t>(num_rows));
  for (int64_t row = 0; row < num_rows; ++row) {
    while (!waiting.empty() && waiting.front() < key_of(row + 1, 0)) {
      const auto k = static_cast<size_t>(pop(waiting) & 65535);
      push(released, key_of(((given[k] + 1) * num_rows + counts[k] - 1) / counts[k], k));
    }
    const auto k = static_cast<size_t>(pop(released) & 65535);
    draws[static_cast<size_t>(row)] = static_cast<uint16_t>(k);
    if (++given[k] < counts[k]) push(waiting, key_of(given[k] * num_rows / counts[k], k));
  }
  return draws;
}

}  // namespace phalanx
