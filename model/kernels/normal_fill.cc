#include "model/kernels/normal_fill.h"

#include <ATen/Parallel.h>

#include "model/kernels/normal_draw.h"

namespace phalanx {

void normal_fill_(const at::Tensor& w_RC, const LogicalWindow& window, uint64_t key,
                  float deviation) {
  if (w_RC.is_cuda()) return normal_fill_cuda_(w_RC, window, key, deviation);
  const int64_t columns = w_RC.size(1);
  float* w = w_RC.mutable_data_ptr<float>();
  at::parallel_for(0, w_RC.size(0), 8, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const uint64_t first =
          static_cast<uint64_t>((window.first_row + r) * window.full_columns + window.first_column);
      for (int64_t c = 0; c < columns; ++c) {
        w[r * columns + c] =
            deviation * kernels::normal_draw(key, first + static_cast<uint64_t>(c));
      }
    }
  });
}

}  // namespace phalanx
