#include "configs/suggest.h"

#include <algorithm>

#include <fmt/format.h>

namespace phalanx {
namespace {

struct Alias {
  std::string_view foreign;
  std::string_view ours;
};

constexpr Alias kAliases[] = {
    {"activation_checkpointing", "recompute"},
    {"adam_beta1", "optimizer.beta1"},
    {"adam_beta2", "optimizer.beta2"},
    {"adam_eps", "optimizer.epsilon"},
    {"batch_size", "global_batch_size"},
    {"batch_size_per_gpu", "micro_batch_size"},
    {"block_size", "sequence_length"},
    {"d_model", "hidden_size"},
    {"decay", "decay_tokens"},
    {"dim", "hidden_size"},
    {"dtype", "precision"},
    {"eps", "epsilon"},
    {"eval_interval", "evaluation.interval"},
    {"ffn_hidden_size", "intermediate_size"},
    {"grad_clip", "clip_grad_norm"},
    {"gradient_clipping", "clip_grad_norm"},
    {"lr", "learning_rate.peak"},
    {"max_grad_norm", "clip_grad_norm"},
    {"max_lr", "learning_rate.peak"},
    {"max_position_embeddings", "sequence_length"},
    {"max_seq_len", "sequence_length"},
    {"micro_batch", "micro_batch_size"},
    {"min_lr", "learning_rate.final"},
    {"n_embd", "hidden_size"},
    {"n_head", "num_attention_heads"},
    {"n_kv_heads", "num_key_value_heads"},
    {"n_layer", "num_hidden_layers"},
    {"num_heads", "num_attention_heads"},
    {"num_kv_heads", "num_key_value_heads"},
    {"num_layers", "num_hidden_layers"},
    {"num_query_groups", "num_key_value_heads"},
    {"output_dir", "run.dir"},
    {"per_device_train_batch_size", "micro_batch_size"},
    {"rope_base", "rope_theta"},
    {"rotary_base", "rope_theta"},
    {"save_interval", "checkpoint.interval"},
    {"seq_len", "sequence_length"},
    {"seq_length", "sequence_length"},
    {"tensor_model_parallel_size", "tensor_parallel_size"},
    {"tp", "tensor_parallel_size"},
    {"tp_size", "tensor_parallel_size"},
    {"train_batch_size", "global_batch_size"},
    {"warmup", "warmup_tokens' or 'warmup_steps"},
    {"wd", "weight_decay"},
    {"weights", "mix"},
};

constexpr std::string_view kLengthNames[] = {
    "duration",     "epochs",      "max_duration",     "max_steps",   "max_tokens",  "num_epochs",
    "num_steps",    "num_tokens",  "num_train_epochs", "steps",       "total_steps", "token_budget",
    "total_tokens", "train_iters", "train_steps",      "train_tokens"};

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  const std::size_t width = b.size() + 1;
  std::vector<std::size_t> table((a.size() + 1) * width);
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      std::size_t& cell = table[i * width + j];
      if (i == 0 || j == 0) {
        cell = i + j;
        continue;
      }
      const std::size_t substituted = table[(i - 1) * width + j - 1] + (a[i - 1] != b[j - 1]);
      cell = std::min({table[(i - 1) * width + j] + 1, table[i * width + j - 1] + 1, substituted});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cell = std::min(cell, table[(i - 2) * width + j - 2] + 1);
      }
    }
  }
  return table.back();
}

std::optional<std::string> nearest(std::string_view word,
                                   const std::vector<std::string>& candidates) {
  // Beyond this length nobody mistyped a name, and the table would grow with the square.
  if (word.size() > 80) return std::nullopt;
  std::optional<std::string> best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::optional<std::string> hint_for_foreign_name(std::string_view word) {
  for (const Alias& alias : kAliases) {
    if (alias.foreign == word) return fmt::format("did you mean '{}'?", alias.ours);
  }
  for (const std::string_view name : kLengthNames) {
    if (name == word) return "a run's length is the sum of its phases' tokens";
  }
  if (word == "data_parallel_size" || word == "dp" || word == "dp_size") {
    return "the data-parallel size is the number of ranks / tensor_parallel_size";
  }
  if (word == "gradient_accumulation_steps" || word == "grad_accum_steps") {
    return "it follows: global_batch_size / (micro_batch_size x data-parallel size)";
  }
  return std::nullopt;
}

}  // namespace phalanx
