#pragma once
// The shape of a phi-4 model and what follows from it by counting. Pure values.
// Source: Phi-4 Technical Report (arXiv 2412.08905) section 3 and the configuration published with
// the weights (architecture Phi3ForCausalLM). Field names are the published ones.
#include <cstdint>
#include <string>
#include <vector>

namespace phalanx {

enum class RopeScaling {
  kNone,
  kLongRope,  // arXiv 2402.13753, as transformers computes it (modeling_rope_utils.py)
};

struct Phi4Config {
  int64_t vocab_size = 100352;
  int64_t hidden_size = 5120;
  int64_t intermediate_size = 17920;
  int64_t num_hidden_layers = 40;
  int64_t num_attention_heads = 40;
  int64_t num_key_value_heads = 10;
  int64_t head_dim = 128;
  double rms_norm_eps = 1e-5;
  double initializer_range = 0.02;
  bool tie_word_embeddings = false;
  double partial_rotary_factor = 1;  // the part of a head that is rotated, its first channels
  int64_t sliding_window = 0;        // a query sees itself and so many keys less one; 0: all before
  // The base of the rotary embedding is a stage's. These belong to the weights; all are empty or 0
  // without scaling. Factors are one for each rotated pair of channels: long ones for sequences
  // longer than original_max_position_embeddings, short ones for the others.
  RopeScaling rope_scaling = RopeScaling::kNone;
  std::vector<double> rope_short_factor{}, rope_long_factor{};
  int64_t original_max_position_embeddings = 0;
  int64_t max_position_embeddings = 0;

  int64_t query_size() const { return num_attention_heads * head_dim; }
  int64_t key_value_size() const { return num_key_value_heads * head_dim; }
  int64_t rotary_dim() const {
    return static_cast<int64_t>(static_cast<double>(head_dim) * partial_rotary_factor);
  }
  /// Whether a row of so many tokens is longer than the window.
  bool is_windowed(int64_t sequence_length) const {
    return sliding_window > 0 && sequence_length > sliding_window;
  }
  bool operator==(const Phi4Config&) const = default;
};

/// Throws std::invalid_argument naming `model.<field>`, expected and found.
void check(const Phi4Config& config);

/// All parameters, embeddings included; phi4-14b has 14,659,507,200.
int64_t num_parameters(const Phi4Config& config);

/// Tensors of the Hugging Face layout (fused qkv and gate-up); phi4-14b has 243.
int64_t num_hf_tensors(const Phi4Config& config);

/// Multiply-adds counted as 2, forward and backward, causal attention counted half:
/// 6 (N - embedding) + 12 L H h K per token, of K = T / 2 keys on average for T targets a row, and
/// W - W^2 / 2T where a window W is shorter than the row.
double flops_per_token(const Phi4Config& config, int64_t sequence_length);

}  // namespace phalanx
