#include "trainer/checkpoint/manifest_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
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

template <typename Value>
void check_field(const char* field, const Value& expected, const Value& found,
                 const std::string& where) {
  if (expected == found) return;
  throw std::invalid_argument(
      fmt::format("{}: model.{}: expected {}, found {}", where, field, expected, found));
}

void check_factors(const char* field, const std::vector<double>& expected,
                   const std::vector<double>& found, const std::string& where) {
  check_field(field, fmt::format("[{}]", fmt::join(expected, ", ")),
              fmt::format("[{}]", fmt::join(found, ", ")), where);
}

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

void check_same_positions(const Phi4Config& expected, const Phi4Config& found,
                          const std::string& where) {
  check_field("partial_rotary_factor", expected.partial_rotary_factor, found.partial_rotary_factor,
              where);
  check_field("sliding_window", expected.sliding_window, found.sliding_window, where);
  check_field("rope_scaling", std::string(name_of(expected.rope_scaling)),
              std::string(name_of(found.rope_scaling)), where);
  check_factors("rope_short_factor", expected.rope_short_factor, found.rope_short_factor, where);
  check_factors("rope_long_factor", expected.rope_long_factor, found.rope_long_factor, where);
  check_field("original_max_position_embeddings", expected.original_max_position_embeddings,
              found.original_max_position_embeddings, where);
  check_field("max_position_embeddings", expected.max_position_embeddings,
              found.max_position_embeddings, where);
}

void check_same_model(const Phi4Config& expected, const Phi4Config& found,
                      const std::string& where) {
  for (const HfSize& size : kHfSizes) {
    check_field(size.key, expected.*size.field, found.*size.field, where);
  }
  check_field("rms_norm_eps", expected.rms_norm_eps, found.rms_norm_eps, where);
  check_field("tie_word_embeddings", expected.tie_word_embeddings, found.tie_word_embeddings,
              where);
  check_same_positions(expected, found, where);
}

}  // namespace phalanx
