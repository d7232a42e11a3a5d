#include "model/phi4_config.h"

#include <cmath>
#include <stdexcept>

#include <fmt/format.h>

namespace phalanx {
namespace {

// Larger than any published model; keeps every product below far from 2^63.
constexpr int64_t kMaxDimension = int64_t{1} << 24;
constexpr int64_t kMaxLayers = 4096;

class Problems {
 public:
  void add(const char* field, const std::string& expected, const std::string& found) {
    if (!text_.empty()) text_ += '\n';
    text_ += fmt::format("model.{}: expected {}, got {}", field, expected, found);
  }
  void size(const char* field, int64_t value, int64_t limit) {
    if (value < 1 || value > limit) {
      add(field, fmt::format("a whole number from 1 to {}", limit), std::to_string(value));
    }
  }
  void throw_if_any() const {
    if (!text_.empty()) throw std::invalid_argument(text_);
  }

 private:
  std::string text_;
};

std::string list_size(const std::vector<double>& values) {
  return fmt::format("{} numbers", values.size());
}

void check_factors(const Phi4Config& c, const char* field, const std::vector<double>& factors,
                   Problems& problems) {
  const int64_t pairs = c.rotary_dim() / 2;
  if (static_cast<int64_t>(factors.size()) != pairs) {
    problems.add(field, fmt::format("{} numbers, one for each rotated pair of channels", pairs),
                 list_size(factors));
  }
  for (const double factor : factors) {
    if (factor > 0 && std::isfinite(factor)) continue;
    problems.add(field, "numbers > 0", fmt::format("{}", factor));
    return;
  }
}

void check_no_scaling(const Phi4Config& c, Problems& problems) {
  const char* nothing = "nothing without rope_scaling: longrope";
  if (!c.rope_short_factor.empty()) {
    problems.add("rope_short_factor", nothing, list_size(c.rope_short_factor));
  }
  if (!c.rope_long_factor.empty()) {
    problems.add("rope_long_factor", nothing, list_size(c.rope_long_factor));
  }
  if (c.original_max_position_embeddings != 0) {
    problems.add("original_max_position_embeddings", nothing,
                 std::to_string(c.original_max_position_embeddings));
  }
  if (c.max_position_embeddings != 0) {
    problems.add("max_position_embeddings", nothing, std::to_string(c.max_position_embeddings));
  }
}

void check_rope(const Phi4Config& c, Problems& problems) {
  const bool is_part = c.partial_rotary_factor > 0 && c.partial_rotary_factor <= 1;
  if (is_part && c.partial_rotary_factor == 1 && c.head_dim % 2 != 0) return;  // said above
  if (!is_part || c.rotary_dim() % 2 != 0 || c.rotary_dim() == 0) {
    problems.add("partial_rotary_factor",
                 fmt::format("a number > 0 and at most 1 that leaves an even number of the {} "
                             "channels of a head",
                             c.head_dim),
                 fmt::format("{}", c.partial_rotary_factor));
    return;
  }
  if (c.rope_scaling == RopeScaling::kNone) return check_no_scaling(c, problems);
  check_factors(c, "rope_short_factor", c.rope_short_factor, problems);
  check_factors(c, "rope_long_factor", c.rope_long_factor, problems);
  // The logarithm of the original length divides.
  if (c.original_max_position_embeddings < 2) {
    problems.add("original_max_position_embeddings", "a whole number >= 2",
                 std::to_string(c.original_max_position_embeddings));
  }
  problems.size("max_position_embeddings", c.max_position_embeddings, int64_t{1} << 40);
}

}  // namespace

void check(const Phi4Config& c) {
  Problems problems;
  problems.size("vocab_size", c.vocab_size, kMaxDimension);
  problems.size("hidden_size", c.hidden_size, kMaxDimension);
  problems.size("intermediate_size", c.intermediate_size, kMaxDimension);
  problems.size("num_hidden_layers", c.num_hidden_layers, kMaxLayers);
  problems.size("num_attention_heads", c.num_attention_heads, kMaxDimension);
  problems.size("num_key_value_heads", c.num_key_value_heads, kMaxDimension);
  problems.size("head_dim", c.head_dim, kMaxDimension);
  problems.throw_if_any();
  if (c.query_size() > kMaxDimension) {
    problems.add("num_attention_heads",
                 fmt::format("num_attention_heads x head_dim at most {}", kMaxDimension),
                 std::to_string(c.query_size()));
  }
  if (c.num_attention_heads % c.num_key_value_heads != 0) {
    problems.add("num_key_value_heads",
                 fmt::format("a divisor of the {} attention heads", c.num_attention_heads),
                 std::to_string(c.num_key_value_heads));
  }
  if (c.head_dim % 2 != 0) {
    problems.add("head_dim", "an even number (rotary embedding turns pairs)",
                 std::to_string(c.head_dim));
  }
  if (c.sliding_window < 0) {
    problems.add("sliding_window", "a whole number >= 0", std::to_string(c.sliding_window));
  }
  check_rope(c, problems);
  if (!(c.rms_norm_eps > 0) || !std::isfinite(c.rms_norm_eps)) {
    problems.add("rms_norm_eps", "a number > 0", fmt::format("{}", c.rms_norm_eps));
  }
  if (!(c.initializer_range > 0) || !std::isfinite(c.initializer_range)) {
    problems.add("initializer_range", "a number > 0", fmt::format("{}", c.initializer_range));
  }
  problems.throw_if_any();
}

int64_t num_parameters(const Phi4Config& c) {
  const int64_t attention = c.hidden_size * (2 * c.query_size() + 2 * c.key_value_size());
  const int64_t feed_forward = 3 * c.hidden_size * c.intermediate_size;
  const int64_t layer = attention + feed_forward + 2 * c.hidden_size;
  const int64_t vocabulary = c.vocab_size * c.hidden_size;
  return c.num_hidden_layers * layer + c.hidden_size + vocabulary * (c.tie_word_embeddings ? 1 : 2);
}

int64_t num_hf_tensors(const Phi4Config& c) {
  // A layer: two norms, qkv, o, gate_up, down. Besides: embedding, last norm and, if not tied,
  // head.
  return 6 * c.num_hidden_layers + (c.tie_word_embeddings ? 2 : 3);
}

double flops_per_token(const Phi4Config& c, int64_t sequence_length) {
  // Looking a row up costs nothing; with tied weights the one matrix is still multiplied, as head.
  const int64_t lookup = c.tie_word_embeddings ? 0 : c.vocab_size * c.hidden_size;
  const double matrices = 6.0 * static_cast<double>(num_parameters(c) - lookup);
  const auto length = static_cast<double>(sequence_length);
  const auto window = static_cast<double>(c.sliding_window);
  const double keys =
      c.is_windowed(sequence_length) ? window - window * window / (2 * length) : length / 2;
  const double attention =
      12.0 * static_cast<double>(c.num_hidden_layers) * static_cast<double>(c.query_size()) * keys;
  return matrices + attention;
}

}  // namespace phalanx
