#pragma once
// Rotary position embedding (arXiv 2104.09864), rotating halves as Phi-3 does: for a head
// [x1 | x2], (x1 cos - x2 sin, x2 cos + x1 sin). Angles in fp32, rounded once after the rotation.
// Local. CPU tensors take the fused kernel in place, others the plain twin.
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace phalanx {

/// cos and sin of position * theta^(-2i / head_dim), fp32 [num_positions, head_dim / 2].
struct RopeTable {
  RopeTable(double theta, int64_t head_dim, int64_t num_positions, at::Device device);
  at::Tensor cos_TH, sin_TH;
};

enum class Rotation { kForward, kBackward };

/// Rotates the first num_heads heads of each row of x_NF in place, by the angle of positions_N
/// (int64); the rest of the row is left alone. kBackward turns the other way, which is the
/// gradient.
void rope_(const at::Tensor& x_NF, int64_t num_heads, const RopeTable& table,
           const at::Tensor& positions_N, Rotation rotation);
void rope_plain_(const at::Tensor& x_NF, int64_t num_heads, const RopeTable& table,
                 const at::Tensor& positions_N, Rotation rotation);

}  // namespace phalanx
