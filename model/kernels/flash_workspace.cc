// How the passes cut their workspace: flash_forward_impl.h, flash_backward_impl.h.
#include "model/kernels/flash_block.h"

namespace phalanx::kernels {
namespace {

int64_t padded(int64_t size, int64_t unit) { return (size + unit - 1) / unit * unit; }

}  // namespace

int64_t flash_forward_floats(int64_t length, int64_t head_dim) {
  const int64_t h = padded(head_dim, 32);
  return 2 * padded(length, kKeys) * h + 2 * kQueries * h + 2 * kQueries * kKeys + 2 * kQueries;
}

int64_t flash_backward_floats(int64_t length, int64_t head_dim) {
  const int64_t h = padded(head_dim, 32);
  return 10 * packed_rows(length) * h + padded(length, 16) + 3 * kQueries * kKeys +
         kQueries * padded(kKeys, 12);
}

}  // namespace phalanx::kernels
