#include "trainer/checkpoint/manifest_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "data/json_fields.h"
#include "data/json_writer.h"
#include "model/hf_layout.h"

namespace phalanx {
namespace {

constexpr const char* kLongRope = "longrope";

std::vector<double> factors(const JsonFields& fields, const char* key) {
  std::vector<double> factors;
  for (const JsonValue factor : fields.list(key)) {
    double value = 0.0;
    if (factor.get(value) != simdjson::SUCCESS) {
      refuse(fmt::format("{}[{}]", fields.place(key), factors.size()), "a number", shown(factor));
    }
    factors.push_back(value);
  }
  return factors;
}

/// Absent in manifests of models that had none of it.
void parse_position_fields(const JsonFields& fields, Phi4Config& model) {
  if (fields.has("partial_rotary_factor")) {
    model.partial_rotary_factor = fields.number("partial_rotary_factor");
  }
  if (fields.has("sliding_window")) model.sliding_window = fields.count("sliding_window");
  if (!fields.has("rope_scaling")) return;
  const JsonFields scaling(fields.at("rope_scaling"), fields.place("rope_scaling"));
  const std::string type = scaling.text("type");
  if (type != kLongRope) refuse(scaling.place("type"), kLongRope, type);
  model.rope_scaling = RopeScaling::kLongRope;
  model.rope_short_factor = factors(scaling, "short_factor");
  model.rope_long_factor = factors(scaling, "long_factor");
  model.original_max_position_embeddings = scaling.count("original_max_position_embeddings");
  model.max_position_embeddings = scaling.count("max_position_embeddings");
}

void write_factors(JsonWriter& json, const char* key, const std::vector<double>& factors) {
  json.key(key);
  json.begin_list();
  for (const double factor : factors) json.value(factor);
  json.end_list();
}

void write_rope_scaling(JsonWriter& json, const Phi4Config& model) {
  json.key("rope_scaling");
  json.begin_object();
  write_factors(json, "long_factor", model.rope_long_factor);
  json.member("max_position_embeddings", model.max_position_embeddings);
  json.member("original_max_position_embeddings", model.original_max_position_embeddings);
  write_factors(json, "short_factor", model.rope_short_factor);
  json.member("type", kLongRope);
  json.end_object();
}

/// A line for each field that differs.
class ModelDifferences {
 public:
  explicit ModelDifferences(const std::string& place) : place_(place) {}

  template <typename Value>
  void compare(const char* field, const Value& configured, const Value& found) {
    if (configured == found) return;
    lines_ += fmt::format("\n  model.{}: the configuration has {}, {} has {}", field, configured,
                          place_, found);
  }
  void compare_factors(const char* field, const std::vector<double>& configured,
                       const std::vector<double>& found) {
    compare(field, fmt::format("[{}]", fmt::join(configured, ", ")),
            fmt::format("[{}]", fmt::join(found, ", ")));
  }
  const std::string& lines() const { return lines_; }

 private:
  const std::string& place_;
  std::string lines_;
};

const char* name_of(RopeScaling scaling) {
  return scaling == RopeScaling::kLongRope ? kLongRope : "none";
}

}  // namespace

void write_model(JsonWriter& json, const Phi4Config& model) {
  json.begin_object();
  json.member("head_dim", model.head_dim);
  json.member("hidden_size", model.hidden_size);
  json.member("initializer_range", model.initializer_range);
  json.member("intermediate_size", model.intermediate_size);
  json.member("num_attention_heads", model.num_attention_heads);
  json.member("num_hidden_layers", model.num_hidden_layers);
  json.member("num_key_value_heads", model.num_key_value_heads);
  json.member("partial_rotary_factor", model.partial_rotary_factor);
  json.member("rms_norm_eps", model.rms_norm_eps);
  if (model.rope_scaling != RopeScaling::kNone) write_rope_scaling(json, model);
  json.member("sliding_window", model.sliding_window);
  json.member("tie_word_embeddings", model.tie_word_embeddings);
  json.member("vocab_size", model.vocab_size);
  json.end_object();
}

Phi4Config parse_model(const JsonFields& fields) {
  Phi4Config model;
  for (const HfSize& size : kHfSizes) model.*size.field = fields.count(size.key);
  model.rms_norm_eps = fields.number("rms_norm_eps");
  model.initializer_range = fields.number("initializer_range");
  model.tie_word_embeddings = fields.flag("tie_word_embeddings");
  parse_position_fields(fields, model);
  return model;
}

void check_same_model(const Phi4Config& configured, const Phi4Config& found,
                      const std::string& place, const std::string& where) {
  ModelDifferences differences(place);
  for (const HfSize& size : kHfSizes) {
    differences.compare(size.key, configured.*size.field, found.*size.field);
  }
  const auto compare = [&](const char* field, auto Phi4Config::*member) {
    differences.compare(field, configured.*member, found.*member);
  };
  compare("rms_norm_eps", &Phi4Config::rms_norm_eps);
  compare("tie_word_embeddings", &Phi4Config::tie_word_embeddings);
  compare("partial_rotary_factor", &Phi4Config::partial_rotary_factor);
  compare("sliding_window", &Phi4Config::sliding_window);
  differences.compare("rope_scaling", std::string_view(name_of(configured.rope_scaling)),
                      std::string_view(name_of(found.rope_scaling)));
  differences.compare_factors("rope_short_factor", configured.rope_short_factor,
                              found.rope_short_factor);
  differences.compare_factors("rope_long_factor", configured.rope_long_factor,
                              found.rope_long_factor);
  compare("original_max_position_embeddings", &Phi4Config::original_max_position_embeddings);
  compare("max_position_embeddings", &Phi4Config::max_position_embeddings);
  if (differences.lines().empty()) return;
  throw std::invalid_argument(fmt::format(
      "{}: expected the model of the configuration, found another:{}", where, differences.lines()));
}

}  // namespace phalanx
