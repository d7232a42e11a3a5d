#include "trainer/checkpoint/manifest_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "model/hf_layout.h"
#include "trainer/checkpoint/strict_json.h"

namespace phalanx {
namespace {

using nlohmann::json;

/// Absent in manifests of models that had none of it.
void parse_position_fields(const json& fields, const std::string& where, Phi4Config& model) {
  if (fields.contains("partial_rotary_factor")) {
    model.partial_rotary_factor = fields["partial_rotary_factor"].get<double>();
  }
  if (fields.contains("sliding_window")) {
    model.sliding_window = integer(fields["sliding_window"], where + ".sliding_window");
  }
  if (!fields.contains("rope_scaling")) return;
  const json& scaling = fields["rope_scaling"];
  const std::string place = where + ".rope_scaling";
  const std::string type = text(member(scaling, "type", place), place + ".type");
  if (type != "longrope") refuse_json(place + ".type", "\"longrope\"", scaling["type"]);
  model.rope_scaling = RopeScaling::kLongRope;
  model.rope_short_factor = member(scaling, "short_factor", place).get<std::vector<double>>();
  model.rope_long_factor = member(scaling, "long_factor", place).get<std::vector<double>>();
  const auto length = [&](const char* key) {
    return integer(member(scaling, key, place), place + "." + key);
  };
  model.original_max_position_embeddings = length("original_max_position_embeddings");
  model.max_position_embeddings = length("max_position_embeddings");
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
  return scaling == RopeScaling::kLongRope ? "longrope" : "none";
}

}  // namespace

json model_json(const Phi4Config& model) {
  json fields;
  for (const HfSize& size : kHfSizes) fields[size.key] = model.*size.field;
  fields["rms_norm_eps"] = model.rms_norm_eps;
  fields["initializer_range"] = model.initializer_range;
  fields["tie_word_embeddings"] = model.tie_word_embeddings;
  fields["partial_rotary_factor"] = model.partial_rotary_factor;
  fields["sliding_window"] = model.sliding_window;
  if (model.rope_scaling == RopeScaling::kNone) return fields;
  fields["rope_scaling"] = {
      {"type", "longrope"},
      {"short_factor", model.rope_short_factor},
      {"long_factor", model.rope_long_factor},
      {"original_max_position_embeddings", model.original_max_position_embeddings},
      {"max_position_embeddings", model.max_position_embeddings}};
  return fields;
}

Phi4Config parse_model_json(const json& fields, const std::string& where) {
  Phi4Config model;
  for (const HfSize& size : kHfSizes) {
    model.*size.field = integer(member(fields, size.key, where), where + "." + size.key);
  }
  try {
    model.rms_norm_eps = member(fields, "rms_norm_eps", where).get<double>();
    model.initializer_range = member(fields, "initializer_range", where).get<double>();
    model.tie_word_embeddings = member(fields, "tie_word_embeddings", where).get<bool>();
    parse_position_fields(fields, where, model);
  } catch (const json::exception& error) {
    throw std::invalid_argument(fmt::format("{}: {}", where, error.what()));
  }
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
