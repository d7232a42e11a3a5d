#include "model/hf_layout.h"

#include <utility>

namespace phalanx {
namespace {

HfTensor fused(std::string name, std::vector<LogicalTensor> parts) {
  std::vector<int64_t> shape = parts.front().shape;
  for (size_t i = 1; i < parts.size(); ++i) shape[0] += parts[i].shape[0];
  return {std::move(name), std::move(shape), std::move(parts)};
}

void add_layer(std::vector<HfTensor>& tensors, const Phi4Config& config, int64_t index) {
  const std::string hf = "model.layers." + std::to_string(index) + ".";
  const std::string own = "layers." + std::to_string(index) + ".";
  const int64_t hidden = config.hidden_size;
  const int64_t inner = config.intermediate_size;
  tensors.push_back(
      fused(hf + "input_layernorm.weight", {{own + "attention_norm.weight", {hidden}}}));
  tensors.push_back(fused(hf + "self_attn.qkv_proj.weight",
                          {{own + "attention.q.weight", {config.query_size(), hidden}},
                           {own + "attention.k.weight", {config.key_value_size(), hidden}},
                           {own + "attention.v.weight", {config.key_value_size(), hidden}}}));
  tensors.push_back(fused(hf + "self_attn.o_proj.weight",
                          {{own + "attention.o.weight", {hidden, config.query_size()}}}));
  tensors.push_back(fused(hf + "post_attention_layernorm.weight",
                          {{own + "feed_forward_norm.weight", {hidden}}}));
  tensors.push_back(
      fused(hf + "mlp.gate_up_proj.weight", {{own + "feed_forward.gate.weight", {inner, hidden}},
                                             {own + "feed_forward.up.weight", {inner, hidden}}}));
  tensors.push_back(
      fused(hf + "mlp.down_proj.weight", {{own + "feed_forward.down.weight", {hidden, inner}}}));
}

}  // namespace

std::vector<HfTensor> hf_tensors(const Phi4Config& config) {
  const std::vector<int64_t> table{config.vocab_size, config.hidden_size};
  std::vector<HfTensor> tensors;
  tensors.push_back(fused("model.embed_tokens.weight", {{"token_embedding.weight", table}}));
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) add_layer(tensors, config, i);
  tensors.push_back(fused("model.norm.weight", {{"norm.weight", {config.hidden_size}}}));
  if (!config.tie_word_embeddings) {
    tensors.push_back(fused("lm_head.weight", {{"head.weight", table}}));
  }
  return tensors;
}

}  // namespace phalanx
