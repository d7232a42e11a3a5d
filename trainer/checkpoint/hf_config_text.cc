#include <nlohmann/json.hpp>

#include "model/hf_layout.h"
#include "trainer/checkpoint/hf_config.h"

namespace phalanx {
namespace {

using nlohmann::ordered_json;

ordered_json ids_json(const std::vector<int64_t>& ids) {
  if (ids.empty()) return nullptr;
  return ids.size() == 1 ? ordered_json(ids.front()) : ordered_json(ids);
}

// Version 5 wants the quotient of the lengths besides, and version 4 no fourth key in
// `rope_scaling`: there is no text that both read without a word. An empty `rope_scaling` means
// nothing to version 5 and is refused by version 4, which would otherwise leave the scaling out.
void put_longrope(const HfConfig& config, ordered_json& text) {
  const Phi4Config& shape = config.shape;
  text["rope_scaling"] = ordered_json::object();
  text["rope_parameters"] = {
      {"rope_type", "longrope"},
      {"rope_theta", config.rope_theta},
      {"partial_rotary_factor", shape.partial_rotary_factor},
      {"factor", static_cast<double>(shape.max_position_embeddings) /
                     static_cast<double>(shape.original_max_position_embeddings)},
      {"original_max_position_embeddings", shape.original_max_position_embeddings},
      {"short_factor", shape.rope_short_factor},
      {"long_factor", shape.rope_long_factor}};
}

void put_positions(const HfConfig& config, ordered_json& text) {
  const Phi4Config& shape = config.shape;
  const bool scaled = shape.rope_scaling == RopeScaling::kLongRope;
  const int64_t length = scaled ? shape.max_position_embeddings : config.max_position_embeddings;
  text["max_position_embeddings"] = length;
  text["original_max_position_embeddings"] =
      scaled ? shape.original_max_position_embeddings : length;
  text["rope_theta"] = config.rope_theta;
  text["partial_rotary_factor"] = shape.partial_rotary_factor;
  text["rope_scaling"] = nullptr;
  if (scaled) put_longrope(config, text);
  text["sliding_window"] = nullptr;
  if (shape.sliding_window > 0) text["sliding_window"] = shape.sliding_window;
}

}  // namespace

std::string hf_config_text(const HfConfig& config, const std::string& dtype) {
  ordered_json text;
  text["architectures"] = {kHfArchitecture};
  text["model_type"] = kHfModelType;
  for (const HfSize& size : kHfSizes) text[size.key] = config.shape.*size.field;
  text["rms_norm_eps"] = config.shape.rms_norm_eps;
  text["initializer_range"] = config.shape.initializer_range;
  text["tie_word_embeddings"] = config.shape.tie_word_embeddings;
  text["hidden_act"] = "silu";
  text["attention_bias"] = false;
  put_positions(config, text);
  for (const char* key : {"attention_dropout", "embd_pdrop", "resid_pdrop"}) text[key] = 0.0;
  // Always there: where a key is absent transformers takes an id of phi-3-mini.
  for (const HfTokenIds& kind : kHfTokenIds) text[kind.key] = ids_json(config.*kind.ids);
  text["torch_dtype"] = dtype;
  return text.dump(2) + "\n";
}

}  // namespace phalanx
