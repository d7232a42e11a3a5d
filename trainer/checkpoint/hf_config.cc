#include "trainer/checkpoint/hf_config.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <vector>

#include "data/file.h"
#include "model/hf_layout.h"
#include "model/kernels/rope.h"
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
  const std::string known = json::array({kHfArchitecture}).dump();
  if (names != nullptr && *names != json::array({kHfArchitecture})) {
    mismatch(where, "architectures", fmt::format("{} ({})", known, kHfFamilies), names->dump());
  }
  const json* type = find(config, "model_type");
  if (type == nullptr ? names == nullptr : *type != kHfModelType) {
    mismatch(where, "model_type", fmt::format("{} ({})", kHfModelType, kHfFamilies),
             type == nullptr ? "nothing" : type->dump());
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

std::vector<double> factors(const json& scaling, const char* key, const std::string& where) {
  const json* list = find(scaling, key);
  if (list == nullptr || !list->is_array()) {
    mismatch(where, key, "a list of numbers", list == nullptr ? "nothing" : list->dump());
  }
  std::vector<double> values;
  for (const json& value : *list) values.push_back(number(value, where, key));
  return values;
}

// Where files state what follows from the lengths, it must follow.
void check_derived(const json& scaling, const char* key, double expected,
                   const std::string& where) {
  const json* value = find(scaling, key);
  if (value == nullptr || std::abs(number(*value, where, key) - expected) <= 1e-9 * expected) {
    return;
  }
  mismatch(where, key, fmt::format("{}, which follows from the context lengths", expected),
           value->dump());
}

void read_longrope(const json& config, const json& scaling, const std::string& where,
                   HfConfig& result) {
  Phi4Config& shape = result.shape;
  shape.rope_scaling = RopeScaling::kLongRope;
  shape.rope_short_factor = factors(scaling, "short_factor", where);
  shape.rope_long_factor = factors(scaling, "long_factor", where);
  const char* key = "original_max_position_embeddings";
  const json* original = find(scaling, key);
  const json* outer = find(config, key);
  if (original == nullptr) original = outer;
  if (original == nullptr) mismatch(where, key, "a number", "nothing");
  if (outer != nullptr && *outer != *original) {
    mismatch(where, key, fmt::format("{}, as in the scaling", original->dump()), outer->dump());
  }
  shape.original_max_position_embeddings =
      integer(*original, fmt::format("{}: key {}", where, key));
  shape.max_position_embeddings = result.max_position_embeddings;
  check_derived(scaling, "factor",
                static_cast<double>(shape.max_position_embeddings) /
                    static_cast<double>(shape.original_max_position_embeddings),
                where);
  check_derived(scaling, "attention_factor", rope_attention_factor(shape), where);
}

// Version 5 keeps all of it in `rope_parameters`; before, the scaling was in `rope_scaling`, and
// the rest beside it.
void read_rope(const json& config, const std::string& where, HfConfig& result) {
  const json* parameters = find(config, "rope_parameters");
  const json* scaling = parameters != nullptr ? parameters : find(config, "rope_scaling");
  const json nothing = json::object();
  if (scaling == nullptr) scaling = &nothing;
  for (const json* object : {&config, scaling}) {
    const json* theta = find(*object, "rope_theta");
    if (theta != nullptr) result.rope_theta = number(*theta, where, "rope_theta");
    const json* partial = find(*object, "partial_rotary_factor");
    if (partial == nullptr) continue;
    result.shape.partial_rotary_factor = number(*partial, where, "partial_rotary_factor");
  }
  if (!(result.rope_theta > 0)) {
    mismatch(where, "rope_theta", "a number > 0", fmt::to_string(result.rope_theta));
  }
  const json* type = find(*scaling, "rope_type");
  if (type == nullptr) type = find(*scaling, "type");
  if (type == nullptr && scaling == &nothing) return;
  if (type == nullptr ? parameters != nullptr : *type == "default") return;
  // "su" is what the first files called it.
  if (type != nullptr && (*type == "longrope" || *type == "su")) {
    return read_longrope(config, *scaling, where, result);
  }
  mismatch(where, "rope_type", "default or longrope", type == nullptr ? "nothing" : type->dump());
}

void read_window(const json& config, const std::string& where, Phi4Config& shape) {
  const json* window = find(config, "sliding_window");
  if (window == nullptr) return;
  shape.sliding_window = integer(*window, where + ": key sliding_window");
  if (shape.sliding_window < 1) {
    mismatch(where, "sliding_window", "null or a number >= 1", window->dump());
  }
}

void check_features(const json& config, const std::string& where) {
  const json* activation = find(config, "hidden_act");
  if (activation != nullptr && *activation != "silu") {
    mismatch(where, "hidden_act", "silu", activation->dump());
  }
  const json* bias = find(config, "attention_bias");
  if (bias != nullptr && *bias != false) mismatch(where, "attention_bias", "false", bias->dump());
  for (const char* key : {"attention_dropout", "embd_pdrop", "resid_pdrop"}) {
    const json* dropout = find(config, key);
    if (dropout != nullptr && *dropout != 0) {
      mismatch(where, key, "0, since nothing is dropped in training", dropout->dump());
    }
  }
  const json* quantization = find(config, "quantization_config");
  if (quantization != nullptr) {
    mismatch(where, "quantization_config", "none (weights as numbers)", quantization->dump());
  }
}

std::vector<int64_t> read_ids(const json& value, const char* key, int64_t vocab_size,
                              const std::string& where) {
  std::vector<int64_t> ids;
  for (const json& item : value.is_array() ? value : json::array({value})) {
    const int64_t id = integer(item, fmt::format("{}: key {}", where, key));
    if (id < 0 || id >= vocab_size) {
      mismatch(where, key, fmt::format("null or ids from 0 to {}", vocab_size - 1), value.dump());
    }
    ids.push_back(id);
  }
  return ids;
}

// Absent is not null here: transformers then takes the ids of phi-3-mini.
void read_token_ids(const json& config, const std::string& where, HfConfig& result) {
  const int64_t vocab_size = result.shape.vocab_size;
  for (const HfTokenIds& kind : kHfTokenIds) {
    if (const json* value = find(config, kind.key)) {
      result.*kind.ids = read_ids(*value, kind.key, vocab_size, where);
    } else if (!config.contains(kind.key) && kind.when_absent < vocab_size) {
      result.*kind.ids = {kind.when_absent};
    }
  }
}

std::string read_dtype(const json& config, const std::string& where) {
  for (const char* key : {"dtype", "torch_dtype"}) {
    const json* value = find(config, key);
    if (value != nullptr) return text(*value, fmt::format("{}: key {}", where, key));
  }
  return "";
}

}  // namespace

HfConfig parse_hf_config(std::string_view input, const std::string& where) {
  const json config = parse_strict_json(input, where);
  if (!config.is_object()) throw std::invalid_argument(where + ": expected an object");
  check_architecture(config, where);
  HfConfig result;
  result.shape = read_shape(config, where);
  const json* positions = find(config, "max_position_embeddings");
  if (positions != nullptr) {
    result.max_position_embeddings = integer(*positions, where + ": key max_position_embeddings");
    if (result.max_position_embeddings < 1) {
      mismatch(where, "max_position_embeddings", "a positive number", positions->dump());
    }
  }
  read_rope(config, where, result);
  read_window(config, where, result.shape);
  check_features(config, where);
  read_token_ids(config, where, result);
  result.dtype = read_dtype(config, where);
  try {
    check(result.shape);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(fmt::format("{}: {}", where, error.what()));
  }
  return result;
}

HfConfig read_hf_config(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "config.json";
  return parse_hf_config(read_text(path, kMaxConfigBytes), path.string());
}

void take_hf_token_ids(const std::filesystem::path& folder, HfConfig& config) {
  const std::filesystem::path path = folder / "config.json";
  const json text = parse_strict_json(read_text(path, kMaxConfigBytes), path.string());
  for (const HfTokenIds& kind : kHfTokenIds) {
    const json* value = text.is_object() ? find(text, kind.key) : nullptr;
    config.*kind.ids = {};
    if (value == nullptr) continue;
    config.*kind.ids = read_ids(*value, kind.key, config.shape.vocab_size, path.string());
  }
}

}  // namespace phalanx
