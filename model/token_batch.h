#pragma once
// One micro-batch as the model takes it. Plain views; the caller keeps the tensors alive.
#include <ATen/core/Tensor.h>

#include <vector>

#include "model/kernels/attention_core.h"
#include "model/kernels/rope.h"

namespace phalanx {

struct TokenBatch {
  at::Tensor tokens_BT;           // int64
  at::Tensor targets_BT;          // int64
  at::Tensor loss_mask_BT;        // bool: the target counts
  at::Tensor positions_BT;        // int64, from 0 in each segment
  std::vector<Segment> segments;  // documents that attend among themselves; empty: whole rows
  const RopeTable* rope = nullptr;
  at::Tensor segment_offsets =
      {};  // of the segments (attention_core.h); undefined: made when needed

  int64_t num_tokens() const { return tokens_BT.numel(); }
};

}  // namespace phalanx
