#include "model/activation_bytes.h"

#include <algorithm>

#include "parallel/shard_spec.h"

namespace phalanx {
namespace {

constexpr int64_t kFp32Bytes = 4;

/// Bytes a token of what lies between the layers, and of what lies inside attention and
/// feed-forward, which see every token.
struct TokenBytes {
  int64_t between = 0, inside = 0;
};

TokenBytes token_bytes(const Phi4Config& config, const ActivationOptions& options, int64_t part) {
  const int64_t value = options.bytes_per_value, stream = config.hidden_size * value;
  const HeadSplit heads = split_heads(config.num_attention_heads, config.num_key_value_heads,
                                      options.tensor_parallel_size, part);
  if (options.recompute == Recompute::kFull) return {stream, 0};
  const int64_t q = heads.query.size(), k = heads.key_value.size();
  const int64_t f =
      split_range(config.intermediate_size, options.tensor_parallel_size, part).size();
  const int64_t attention = (2 * q + 2 * k) * config.head_dim * value + q * kFp32Bytes;
  const bool selective = options.recompute == Recompute::kSelective;
  return {(selective ? 2 : 4) * stream + 2 * kFp32Bytes,
          attention + (selective ? 2 : 3) * f * value};
}

}  // namespace

int64_t layer_activation_bytes(const Phi4Config& config, const ActivationOptions& options,
                               int64_t num_tokens) {
  const int64_t parts = options.tensor_parallel_size;
  const int64_t num_between =
      options.sequence_parallel ? split_range(num_tokens, parts, 0).size() : num_tokens;
  int64_t most = 0;
  for (int64_t part = 0; part < parts; ++part) {
    const TokenBytes bytes = token_bytes(config, options, part);
    most = std::max(most, num_between * bytes.between + num_tokens * bytes.inside);
  }
  return most;
}

double activation_bytes_per_token(const Phi4Config& config, const ActivationOptions& options) {
  // As many tokens as parts: no token is padding.
  const int64_t num_tokens = options.tensor_parallel_size;
  return static_cast<double>(layer_activation_bytes(config, options, num_tokens)) /
         static_cast<double>(num_tokens);
}

}  // namespace phalanx
