#include "trainer/checkpoint/hf_config.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "data/file.h"
#include "model/hf_layout.h"
#include "trainer/checkpoint/strict_json.h"

namespace phalanx {
namespace {

using nlohmann::json;

constexpr int64_t kMaxConfigBytes = int64_t{16} << 20;

[[noreturn]] void mismatch(const std::string& where, const char* key, const std::string& expected,
                           const std::string& found) {
  throw std::invalid_argument(
      fmt::format("{}: key {}: expected {}, found {}", where, key, expected, found));
}

// Null and absent mean the same in these files.
const json* find(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

double number(const json& value, const std::string& where, const char* key) {
  if (!value.is_number()) mismatch(where, key, "a number", value.dump());
  return value.get<double>();
}

void check_architecture(const json& config, const std::string& where) {
  const json* names = find(config, "architectures");
  if (names != nullptr && *names != json::array({kHfArchitecture})) {
    mismatch(where, "architectures", json::array({kHfArchitecture}).dump(), names->dump());
  }
  const json* type = find(config, "model_type");
  if (type == nullptr ? names == nullptr : *type != kHfModelType) {
    mismatch(where, "model_type", kHfModelType, type == nullptr ? "nothing" : type->dump());
  }
}

Phi4Config read_shape(const json& config, const std::string& where) {
  Phi4Config shape;
  shape.num_key_value_heads = shape.head_dim = 0;
  for (const HfSize& size : kHfSizes) {
    const std::string key = size.key;
    const bool has_default = key == "num_key_value_heads" || key == "head_dim";
    const json* value = find(config, size.key);
    if (value == nullptr && has_default) continue;
    if (value == nullptr) mismatch(where, size.key, "a number", "nothing");
    shape.*size.field = integer(*value, fmt::format("{}: key {}", where, key));
    if (shape.*size.field <= 0) mismatch(where, size.key, "a positive number", value->dump());
  }
  if (shape.num_key_value_heads == 0) shape.num_key_value_heads = shape.num_attention_heads;
  if (shape.head_dim == 0) shape.head_dim = shape.hidden_size / shape.num_attention_heads;
  const json* epsilon = find(config, "rms_norm_eps");
  if (epsilon != nullptr) shape.rms_norm_eps = number(*epsilon, where, "rms_norm_eps");
  const json* range = find(config, "initializer_range");
  if (range != nullptr) shape.initializer_range = number(*range, where, "initializer_range");
  const json* tied = find(config, "tie_word_embeddings");
  if (tied != nullptr && !tied->is_boolean()) {
    mismatch(where, "tie_word_embeddings", "true or false", tied->dump());
  }
  if (tied != nullptr) shape.tie_word_embeddings = tied->get<bool>();
  return shape;
}

// `rope` is the object that holds the keys: the whole config before version 5.
void check_rope(const json& config, const json& rope, const std::string& where) {
  const json* scaling = find(config, "rope_scaling");
  if (scaling != nullptr && &rope == &config) {
    mismatch(where, "rope_scaling", "null", scaling->dump());
  }
  const json* type = find(rope, "rope_type");
  if (type != nullptr && *type != "default") mismatch(where, "rope_type", "default", type->dump());
  for (const json* object : {&config, &rope}) {
    const json* partial = find(*object, "partial_rotary_factor");
    if (partial != nullptr && *partial != 1.0) {
      mismatch(where, "partial_rotary_factor", "1.0", partial->dump());
    }
  }
}

void check_features(const json& config, int64_t max_position, const std::string& where) {
  const json* activation = find(config, "hidden_act");
  if (activation != nullptr && *activation != "silu") {
    mismatch(where, "hidden_act", "silu", activation->dump());
  }
  const json* window = find(config, "sliding_window");
  if (window != nullptr && number(*window, where, "sliding_window") < double(max_position)) {
    mismatch(where, "sliding_window", "null", window->dump());
  }
}

template <typename Value>
void check_key(const std::string& where, const char* key, const Value& expected,
               const Value& found) {
  if (expected != found) mismatch(where, key, fmt::to_string(expected), fmt::to_string(found));
}

}  // namespace

HfConfig read_hf_config(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "config.json";
  const std::string where = path.string();
  const json config = parse_strict_json(read_text(path, kMaxConfigBytes), where);
  if (!config.is_object()) throw std::invalid_argument(where + ": expected an object");
  check_architecture(config, where);
  HfConfig result;
  result.shape = read_shape(config, where);
  const json* parameters = find(config, "rope_parameters");
  const json& rope = parameters == nullptr ? config : *parameters;
  check_rope(config, rope, where);
  const json* theta = find(rope, "rope_theta");
  if (theta != nullptr) result.rope_theta = number(*theta, where, "rope_theta");
  const json* positions = find(config, "max_position_embeddings");
  if (positions != nullptr) {
    result.max_position_embeddings = integer(*positions, where + ": key max_position_embeddings");
  }
  check_features(config, result.max_position_embeddings, where);
  return result;
}

void check_hf_config(const std::filesystem::path& folder, const HfConfig& found,
                     const Phi4Config& expected) {
  const std::string where = (folder / "config.json").string();
  for (const HfSize& size : kHfSizes) {
    check_key(where, size.key, expected.*size.field, found.shape.*size.field);
  }
  check_key(where, "rms_norm_eps", expected.rms_norm_eps, found.shape.rms_norm_eps);
  check_key(where, "tie_word_embeddings", expected.tie_word_embeddings,
            found.shape.tie_word_embeddings);
}

std::string hf_config_text(const HfConfig& config, const std::string& dtype) {
  nlohmann::ordered_json text;
  text["architectures"] = {kHfArchitecture};
  text["model_type"] = kHfModelType;
  for (const HfSize& size : kHfSizes) text[size.key] = config.shape.*size.field;
  text["rms_norm_eps"] = config.shape.rms_norm_eps;
  text["initializer_range"] = config.shape.initializer_range;
  text["tie_word_embeddings"] = config.shape.tie_word_embeddings;
  text["hidden_act"] = "silu";
  text["max_position_embeddings"] = config.max_position_embeddings;
  text["original_max_position_embeddings"] = config.max_position_embeddings;
  text["rope_theta"] = config.rope_theta;
  text["rope_scaling"] = nullptr;
  text["sliding_window"] = nullptr;
  for (const char* key : {"attention_dropout", "embd_pdrop", "resid_pdrop"}) text[key] = 0.0;
  // The default ids lie outside small vocabularies, where transformers refuses them.
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) text[key] = nullptr;
  text["torch_dtype"] = dtype;
  return text.dump(2) + "\n";
}

}  // namespace phalanx
