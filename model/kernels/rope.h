#pragma once
// Rotary position embedding (arXiv 2104.09864), rotating halves as Phi-3 does: for a head
// [x1 | x2 | rest], (x1 cos - x2 sin, x2 cos + x1 sin, rest). Angles in fp32, rounded once after
// the rotation. Partial rotation leaves the rest of a head alone; LongRoPE (arXiv 2402.13753)
// divides each frequency by a factor and scales cos and sin, as transformers'
// modeling_rope_utils.py does. Local. fp32 and bf16 take the fused kernel of CPU or CUDA in place,
// what has none the plain twin.
#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/phi4_config.h"

namespace phalanx {

/// cos and sin of position * theta^(-2i / rotary_dim), fp32 [num_positions, rotary_dim / 2].
struct RopeTable {
  /// Whole heads, no scaling.
  RopeTable(double theta, int64_t head_dim, int64_t num_positions, at::Device device);
  /// As the model's configuration says, for sequences of `sequence_length` tokens. That length, not
  /// a position, decides between short and long factors: one table turns all rows alike.
  RopeTable(double theta, const Phi4Config& model, int64_t sequence_length, at::Device device);
  at::Tensor cos_TH, sin_TH;
  int64_t head_dim = 0;  // rotated channels and the others
};

/// What scales cos and sin: sqrt(1 + ln(max / original) / ln(original)) with LongRoPE where max
/// exceeds the original length, else 1.
double rope_attention_factor(const Phi4Config& model);

enum class Rotation { kForward, kBackward };

/// Rotates the first num_heads heads of each row of x_NF in place, by the angle of positions_N
/// (int64); the rest of the row is left alone. kBackward turns the other way, which is the
/// gradient.
void rope_(const at::Tensor& x_NF, int64_t num_heads, const RopeTable& table,
           const at::Tensor& positions_N, Rotation rotation);
void rope_plain_(const at::Tensor& x_NF, int64_t num_heads, const RopeTable& table,
                 const at::Tensor& positions_N, Rotation rotation);

}  // namespace phalanx
