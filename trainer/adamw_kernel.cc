#include "trainer/adamw_kernel.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "trainer/adamw_types.h"

namespace phalanx {
namespace {

constexpr int64_t kGrain = 16384;

/// Elements [begin, end), which lie one after another in the logical tensor too, so that the loop
/// has no division and vectorises. Element i is the logical one of number first_logical + i.
template <typename Pointers>
void update_neighbours(const Pointers run, const AdamWCoefficients c, int64_t begin, int64_t end,
                       uint64_t key, int64_t first_logical) {
  for (int64_t i = begin; i < end; ++i) {
    uint64_t random = 0;
    if constexpr (Pointers::kRounds) {
      random = kernels::keyed_bits(key, static_cast<uint64_t>(first_logical + i));
    }
    kernels::adamw_at(run, c, i, random);
  }
}

}  // namespace

void adamw_update(const AdamWRun& run, const AdamWCoefficients& coefficients) {
  if (run.grad.is_cuda()) return adamw_update_cuda(run, coefficients);
  const LogicalPlaces& places = run.places;
  kernels::with_adamw_pointers(run, [&](const auto& pointers) {
    at::parallel_for(0, run.grad.numel(), kGrain, [&](int64_t begin, int64_t end) {
      while (begin < end) {
        const int64_t left_in_row = places.width - (places.first + begin) % places.width;
        const int64_t stop = begin + std::min(end - begin, left_in_row);
        update_neighbours(pointers, coefficients, begin, stop, run.rounding_key,
                          kernels::logical_element(places, begin) - begin);
        begin = stop;
      }
    });
  });
}

}  // namespace phalanx
