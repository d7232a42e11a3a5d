#pragma once
// What the blocks keep between forward and backward, in bytes, by counting (Block::Saved; the idea
// is that of Korthikanti et al., arXiv 2205.05198, section 4). Pure arithmetic, local.
//
// Of one layer, values a token; D hidden size, q and k this part's query and key-value heads, H
// their size, f its part of the intermediate size. Under sequence parallelism the first three lines
// are divided by the tensor-parallel size.
//
//                                        none   selective   full
//   inputs of the two halves        2 D   x, h     x, h       x
//   their norms                     2 D   a, b      -         -
//   1 / rms of each, fp32           2     yes      yes        -
//   query, key, value     (q + 2 k) H     yes      yes        -
//   attention's output            q H     yes      yes        -
//   log-sum-exp, fp32             q       yes      yes        -
//   gate and up                   2 f     yes      yes        -
//   their product                   f     yes       -         -
//
// Selective drops what a pass over memory gives back and keeps what takes a product or attention to
// make. phi4-14b in bf16, undivided: 174,248, 117,928 and 10,240 bytes a token and layer.
// Full also holds one layer as none does while that layer runs backward.
#include <cstdint>

#include "model/phi4_config.h"
#include "model/recompute.h"

namespace phalanx {

struct ActivationOptions {
  Recompute recompute = Recompute::kNone;
  int64_t bytes_per_value = 2;  // of the compute type: 4 fp32, 2 bf16
  int64_t tensor_parallel_size = 1;
  bool sequence_parallel = false;
};

/// Of one layer and a micro-batch of `num_tokens`, on the part that keeps most. Exact on CPU; on
/// CUDA the log-sum-exp of a run is padded to 32 tokens. Throws std::invalid_argument when the
/// query heads do not divide by the tensor-parallel size.
int64_t layer_activation_bytes(const Phi4Config& config, const ActivationOptions& options,
                               int64_t num_tokens);

/// The same for one token of very many.
double activation_bytes_per_token(const Phi4Config& config, const ActivationOptions& options);

}  // namespace phalanx
