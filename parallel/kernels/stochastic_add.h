#pragma once
// Adds fp32 rows to bf16 rows; each sum is taken in fp32 and rounded stochastically
// (stochastic_round.h), keyed by the logical element it belongs to.
// Local. CUDA: on the current stream, the same bits as on CPU.
#include <ATen/core/Tensor.h>

#include "parallel/kernels/stochastic_round.h"

namespace phalanx {

/// target[row_V[i], :] += value[i, :]. Row r, column c of the target is the logical element
/// first_element + r * full_columns + c.
struct StochasticAdd {
  at::Tensor target_RC;  // bf16; rows may be strided, columns are contiguous
  at::Tensor value_VC;   // fp32, contiguous
  at::Tensor row_V;      // int64, no row twice, -1: none; undefined: rows 0, 1, ...
  int64_t first_element = 0;
  int64_t full_columns = 0;
  uint64_t key = 0;
};

void stochastic_add(const StochasticAdd& add);
/// The CUDA twin; throws std::invalid_argument in a build without CUDA.
void stochastic_add_cuda(const StochasticAdd& add);

namespace kernels {

PHALANX_HOST_DEVICE inline void add_rounded(float value, uint64_t random, c10::BFloat16& sum) {
  sum = stochastic_bf16(static_cast<float>(sum) + value, random);
}

}  // namespace kernels
}  // namespace phalanx
