#pragma once
// What a block keeps between forward and backward.

namespace phalanx {

/// kNone: everything. kSelective: not what elementwise operations give back (norms, the SwiGLU
/// product). kFull: only each block's input; the block runs again in the backward pass.
enum class Recompute { kNone, kSelective, kFull };

}  // namespace phalanx
