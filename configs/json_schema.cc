#include "configs/json_schema.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "configs/field_list.h"
#include "configs/schema.h"
#include "configs/value_schema.h"

namespace phalanx {
namespace {

using Json = nlohmann::ordered_json;

/// The default as JSON; nothing where there is none, or where it follows from other fields.
std::optional<Json> default_of(const FieldInfo& info, const Value& value) {
  if (info.required || !info.default_text.empty()) return std::nullopt;
  const std::optional<std::string> text = value.write();
  if (!text) return std::nullopt;
  Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  return json.is_discarded() ? Json(*text) : json;
}

class SchemaMaker : public SchemaVisitor {
 public:
  void field(const FieldInfo& info, const Value& value) override {
    Json json{{"description", fmt::format("{}. Accepts {}. On a resume: {}.", info.doc,
                                          value.accepts, tag_name(info.tag))}};
    json.update(Json::parse(value.schema()));
    if (const auto standard = default_of(info, value)) json["default"] = *standard;
    add(info.name, std::move(json), info.required);
    if (info.gives_others) level_.giver = info.name;
  }

  void section(const FieldInfo& info, const std::function<void()>& declare) override {
    const Level inner = inside(declare);
    add(info.name, described(info, object(inner)), !inner.required.empty());
  }

  void list(const FieldInfo& info, const Entries& entries) override {
    const Level inner = inside([&] { entries.visit_prototype(*this); });
    Json json{{"type", "array"}, {"items", object(inner)}};
    if (info.required) json["minItems"] = 1;
    add(info.name, described(info, std::move(json)), info.required);
  }

  void table(const FieldInfo& info, const Entries& entries) override {
    const Level inner = inside([&] { entries.visit_prototype(*this); });
    Json json{{"type", {"object", "null"}},
              {"propertyNames", {{"pattern", Json::parse(schema_of_name(false))["pattern"]}}},
              {"additionalProperties", inner.properties.begin().value()}};
    if (info.required) json["type"] = "object";
    if (info.required) json["minProperties"] = 1;
    add(info.name, described(info, std::move(json)), info.required);
  }

  Json whole() const { return object(level_); }

 private:
  /// The names that are declared in one section.
  struct Level {
    Json properties = Json::object();
    std::vector<std::string> required;
    std::string giver;  // the field that may give the required ones; empty: none does
  };

  void add(const std::string& name, Json json, bool required) {
    level_.properties[name] = std::move(json);
    if (required) level_.required.push_back(name);
  }

  Level inside(const std::function<void()>& declare) {
    Level outer = std::exchange(level_, Level{});
    declare();
    return std::exchange(level_, std::move(outer));
  }

  static Json described(const FieldInfo& info, Json json) {
    Json result{{"description", info.doc}};
    result.update(json);
    return result;
  }

  /// A section that needs nothing may also be empty, which YAML reads as null.
  static Json object(const Level& level) {
    Json json{{"type", {"object", "null"}}};
    if (!level.required.empty()) {
      json["type"] = "object";
      if (!level.giver.empty()) {
        json["anyOf"] = {Json{{"required", Json::array({level.giver})}},
                         Json{{"required", level.required}}};
      } else {
        json["required"] = level.required;
      }
    }
    json["properties"] = level.properties;
    json["additionalProperties"] = false;
    return json;
  }

  Level level_;
};

}  // namespace

std::string run_json_schema() {
  RunConfig config;
  SchemaMaker maker;
  declare_run(maker, config);
  Json json{
      {"$schema", "http://json-schema.org/draft-07/schema#"},
      {"title", "phalanx run"},
      {"description", "A run of phalanx train. phalanx config checks rules across fields too."}};
  json.update(maker.whole());
  return json.dump(2) + "\n";
}

}  // namespace phalanx
