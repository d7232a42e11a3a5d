#include "trainer/planner/memory_plan.h"

#include <ATen/ceil_div.h>

#include <algorithm>
#include <utility>

#include "parallel/grad_buckets.h"
#include "parallel/kernels/packed_gemm_block.h"
#include "parallel/shard_spec.h"
#include "trainer/state_stream.h"

namespace phalanx {
namespace {

constexpr int64_t kFp32Bytes = 4;
constexpr int64_t kMultiprocessors = 132;  // of H100 and H200

/// Sizes of one micro-batch on the fullest rank.
struct Sizes {
  int64_t all_tokens, tokens;                                  // N, and n of the residual stream
  int64_t hidden, query, key_value, feed_forward, vocabulary;  // columns
  int64_t value;                                               // bytes

  int64_t stream() const { return tokens * hidden * value; }          // x_nD
  int64_t all_stream() const { return all_tokens * hidden * value; }  // x_ND
  int64_t gathered() const { return tokens == all_tokens ? 0 : all_stream(); }
};

Sizes sizes_of(const PlanInput& input, const WorkSpan& span) {
  const Phi4Config& shape = input.shape;
  const int64_t parts = input.mesh.tensor_parallel;
  const HeadSplit heads =
      split_heads(shape.num_attention_heads, shape.num_key_value_heads, parts, 0);
  Sizes sizes{};
  sizes.all_tokens = span.micro_batch_tokens();
  sizes.tokens =
      input.sequence_parallel ? split_range(sizes.all_tokens, parts, 0).size() : sizes.all_tokens;
  sizes.hidden = shape.hidden_size;
  sizes.query = heads.query.size() * shape.head_dim;
  sizes.key_value = heads.key_value.size() * shape.head_dim;
  sizes.feed_forward = split_range(shape.intermediate_size, parts, 0).size();
  sizes.vocabulary = split_range(shape.vocab_size, parts, 0).size();
  sizes.value = input.state.weight;
  return sizes;
}

/// GradBuckets: rows of the largest weight gradient, in fp32 on their way to a bf16 bucket. Fp32
/// buckets take a product in as it is made.
int64_t product_bytes(const PlanInput& input, const Sizes& s) {
  if (input.state.gradient == kFp32Bytes) return 0;
  int64_t most = 0;
  for (const auto& [rows, columns] : {std::pair{s.query, s.hidden},
                                      {s.key_value, s.hidden},
                                      {s.hidden, s.query},
                                      {s.feed_forward, s.hidden},
                                      {s.hidden, s.feed_forward},
                                      {s.vocabulary, s.hidden}}) {
    const int64_t at_once = std::min(rows, std::max<int64_t>(1, kProductElements / columns));
    most = std::max(most, at_once * columns * kFp32Bytes);
  }
  return most;
}

/// StateStream: two sets of pieces of masters and moments.
int64_t stream_bytes(const StateBytes& state) {
  return 2 * kStreamPieceElements * state.optimizer();
}

/// ShareSnapshot; a save that is waited for reads shares on the host as they are. A bf16 master is
/// stored, though it is the weight itself.
int64_t snapshot_bytes(const PlanInput& input, int64_t share, DeviceKind device) {
  const bool on_host =
      device == DeviceKind::kCpu || (input.state.offload && input.state.master > 0);
  if (!input.asynchronous_saves && on_host) return 0;
  const int64_t master = input.state.master > 0 ? input.state.master : input.state.weight;
  return share * (master + 2 * input.state.moment);
}

int64_t kept_bytes(const PlanInput& input, const Sizes& s) {
  ActivationOptions options = activation_options(input);
  const int64_t layer = layer_activation_bytes(input.shape, options, s.all_tokens);
  int64_t bytes = input.shape.num_hidden_layers * layer + 2 * s.stream();
  if (options.recompute == Recompute::kFull) {
    options.recompute = Recompute::kNone;
    bytes += layer_activation_bytes(input.shape, options, s.all_tokens) - layer;
  }
  return bytes;
}

/// A packed product on a host sums a bf16 result of so many rows in fp32, a strip of columns at a
/// time; the widest that need it are as wide as the residual stream.
int64_t strip_bytes(const PlanInput& input, int64_t rows, DeviceKind device) {
  const bool strips = device == DeviceKind::kCpu && input.state.weight != kFp32Bytes;
  return strips ? rows * std::min(kernels::kStripColumns, input.shape.hidden_size) * kFp32Bytes : 0;
}

/// VocabParallelHead::loss(): the logits, which become their own gradient, beside what is made of
/// it.
int64_t logits_bytes(const PlanInput& input, const Sizes& s, DeviceKind device) {
  const int64_t chunk = std::min(input.loss_chunk_tokens, s.all_tokens);
  return s.gathered() + s.all_stream() + chunk * (s.vocabulary + s.hidden) * s.value +
         strip_bytes(input, chunk, device);
}

/// Of the product of the feed-forward's two matrices, which takes most.
int64_t fp8_bytes(const PlanInput& input, const Sizes& s) {
  if (input.products == Products::kCompute) return 0;
  return 2 * s.feed_forward * std::max(s.all_tokens, s.hidden) +
         s.hidden * std::max(s.all_tokens, 2 * s.feed_forward);
}

/// What LibTorch's FlashAttention-2 takes in its backward pass besides its results: the gradient of
/// queries in fp32, with kernels that keep their order once for each part that the multiprocessors
/// cut a head's keys into; gradients of keys and values for each query head; and the three
/// gradients from which the one of qkv is joined
/// (aten/src/ATen/native/transformers/cuda/flash_attn/ flash_api.cpp, mha_bwd).
int64_t flash_bytes(const PlanInput& input, const Sizes& s, const WorkSpan& span,
                    DeviceKind device) {
  if (device == DeviceKind::kCpu || s.value == kFp32Bytes || input.shape.head_dim % 8 != 0)
    return 0;
  const int64_t heads = s.query / input.shape.head_dim;
  const int64_t parts = input.reproducible == Reproducible::kOff
                            ? 1
                            : at::ceil_div(kMultiprocessors, span.micro_batch_size * heads);
  const int64_t feature_places = at::round_up(input.shape.head_dim, int64_t{32});
  const int64_t wide_dq = parts * s.all_tokens * heads * feature_places * kFp32Bytes;
  const int64_t for_each_head = s.query == s.key_value ? 0 : 2 * s.all_tokens * s.query * s.value;
  return wide_dq + for_each_head + s.all_tokens * (s.query + 2 * s.key_value) * s.value;
}

/// Block::backward(), at the larger of its two halves. Selective computes the product of gate and
/// up, and each half's norm, again.
int64_t workspace_bytes(const PlanInput& input, const Sizes& s, const WorkSpan& span,
                        DeviceKind device) {
  const bool again = input.recompute == Recompute::kSelective;
  const int64_t f = s.all_tokens * s.feed_forward * s.value;
  const int64_t qkv = s.all_tokens * (s.query + 2 * s.key_value) * s.value;
  const int64_t streams = (again ? 3 : 2) * s.stream() + s.gathered();
  const int64_t feed_forward = (again ? 4 : 3) * f + s.all_stream();
  const int64_t freed = (again ? 2 : 3) * f;  // of what was kept, once that half is done
  const int64_t attention = s.all_tokens * s.query * s.value + qkv + (again ? 3 : 2) * s.stream() +
                            s.all_stream() + flash_bytes(input, s, span, device) - freed;
  return streams + std::max(feed_forward, attention) + strip_bytes(input, s.all_tokens, device) +
         fp8_bytes(input, s);
}

/// LeafSums: sums that wait for their neighbours. Groups that are not whole are refused elsewhere.
int64_t leaf_bytes(const PlanInput& input, const WorkSpan& span, const StoredParameters& stored) {
  if (input.reproducible != Reproducible::kDpInvariant) return 0;
  const int64_t leaves = std::max(micro_batches_of_replica(input, span), input.leaf_group_size);
  return LeafSums::num_buffers(leaves, input.leaf_group_size) * stored.numel * input.state.gradient;
}

/// A host sums through windows of a fixed size; a GPU that keeps an order first collects the pieces
/// of a bucket.
int64_t communication_bytes(const PlanInput& input, const StoredParameters& stored,
                            DeviceKind device) {
  const int64_t replicas = input.mesh.data_parallel;
  if (replicas == 1) return 0;
  const bool collects = device == DeviceKind::kCuda && input.reproducible != Reproducible::kOff;
  const int64_t pieces = collects ? stored.largest_bucket : 0;
  return (stored.numel / replicas + pieces) * input.state.gradient;
}

}  // namespace

int64_t MemoryPlan::tensors() const {
  return weights + gradients + optimizer + saving + activations + communication +
         std::max(logits, workspace);
}

std::vector<MemoryCategory> MemoryPlan::categories() const {
  return {{"weights", weights}, {"gradients", gradients},     {"optimizer", optimizer},
          {"saving", saving},   {"activations", activations}, {"communication", communication},
          {"logits", logits},   {"workspace", workspace},     {"runtime", runtime}};
}

MemoryPlan plan_memory(const PlanInput& input, const WorkSpan& span,
                       const Accelerator& accelerator) {
  const StoredParameters stored = stored_parameters(input.shape, input.mesh);
  const Sizes sizes = sizes_of(input, span);
  const int64_t share = stored.numel / input.mesh.data_parallel;
  MemoryPlan plan;
  plan.weights = stored.numel * input.state.weight;
  plan.gradients = stored.numel * input.state.gradient + product_bytes(input, sizes) +
                   leaf_bytes(input, span, stored);
  (input.state.offload ? plan.host : plan.optimizer) = share * input.state.optimizer();
  if (input.state.offload) plan.optimizer = stream_bytes(input.state);
  (accelerator.device == DeviceKind::kCpu ? plan.saving : plan.host) +=
      snapshot_bytes(input, share, accelerator.device);
  plan.activations = kept_bytes(input, sizes);
  plan.communication = communication_bytes(input, stored, accelerator.device);
  plan.logits = logits_bytes(input, sizes, accelerator.device);
  plan.workspace = workspace_bytes(input, sizes, span, accelerator.device);
  plan.runtime = accelerator.runtime_bytes;
  return plan;
}

MemoryPlan plan_memory(const PlanInput& input, const Accelerator& accelerator) {
  MemoryPlan most;
  for (const WorkSpan& span : input.spans) {
    const MemoryPlan plan = plan_memory(input, span, accelerator);
    if (plan.total() > most.total()) most = plan;
  }
  return most;
}

}  // namespace phalanx
