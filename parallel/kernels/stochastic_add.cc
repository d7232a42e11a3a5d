#include "parallel/kernels/stochastic_add.h"

#include <ATen/Parallel.h>

#include <algorithm>

namespace phalanx {
namespace {

constexpr int64_t kGrain = 16384;

void add_row(c10::BFloat16* sum, const float* value, int64_t count, uint64_t key, int64_t element) {
  for (int64_t c = 0; c < count; ++c) {
    kernels::add_rounded(value[c], kernels::keyed_bits(key, static_cast<uint64_t>(element + c)),
                         sum[c]);
  }
}

}  // namespace

void stochastic_add(const StochasticAdd& add) {
  if (add.target_RC.is_cuda()) return stochastic_add_cuda(add);
  const int64_t columns = add.target_RC.size(1), stride = add.target_RC.stride(0);
  c10::BFloat16* target = add.target_RC.mutable_data_ptr<c10::BFloat16>();
  const float* value = add.value_VC.const_data_ptr<float>();
  const int64_t* rows = add.row_V.defined() ? add.row_V.const_data_ptr<int64_t>() : nullptr;
  // Over elements, not rows: a vector is one row.
  at::parallel_for(0, add.value_VC.numel(), kGrain, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t v = begin / columns, c = begin % columns, r = rows ? rows[v] : v;
      const int64_t count = std::min(end - begin, columns - c);
      if (r >= 0) {
        add_row(target + r * stride + c, value + begin, count, add.key,
                add.first_element + r * add.full_columns + c);
      }
      begin += count;
    }
  });
}

}  // namespace phalanx
