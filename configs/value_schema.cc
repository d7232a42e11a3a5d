#include "configs/value_schema.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "configs/values.h"

namespace phalanx {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kDecimal = "[0-9]*\\.?[0-9]+([eE][+-]?[0-9]+)?";

/// A text of a decimal number and one of the units.
Json with_unit(const std::string& units) {
  return {{"type", "string"}, {"pattern", std::string("^ *") + kDecimal + " *" + units + " *$"}};
}

std::string any_of(const std::vector<Json>& schemas) { return Json{{"anyOf", schemas}}.dump(); }

/// `or` is met by a whole number too.
Json whole_number(int64_t at_least) { return {{"type", "integer"}, {"minimum", at_least}}; }

}  // namespace

// A path or name that looks like a number is a text to the reader.
std::string schema_of_text() { return Json{{"type", {"string", "number", "boolean"}}}.dump(); }

std::string schema_of_name(bool dots_allowed) {
  const std::string first = "[A-Za-z0-9_]";
  return Json{{"type", {"string", "number", "boolean"}},
              {"maxLength", 100},
              {"pattern", "^" + first + (dots_allowed ? "[A-Za-z0-9_.-]*$" : "[A-Za-z0-9_-]*$")}}
      .dump();
}

std::string schema_of_choice(const std::vector<std::string>& names) {
  if (names == std::vector<std::string>{"false", "true"}) return Json{{"type", "boolean"}}.dump();
  return Json{{"enum", names}}.dump();
}

std::string schema_of_integer(int64_t at_least) { return whole_number(at_least).dump(); }

std::string schema_of_seed() {
  return Json{{"type", "integer"}, {"minimum", 0}, {"maximum", UINT64_MAX}}.dump();
}

std::string schema_of_count(int64_t at_least) {
  return any_of({whole_number(at_least), with_unit("[KMBT]")});
}

std::string schema_of_bytes() { return any_of({with_unit("([KMGT]i?)?B")}); }

std::string schema_of_real(const RealRange& range) {
  Json json{{"type", "number"}};
  json[range.low_closed ? "minimum" : "exclusiveMinimum"] = range.low;
  if (std::isfinite(range.high)) {
    json[range.high_closed ? "maximum" : "exclusiveMaximum"] = range.high;
  }
  return json.dump();
}

std::string schema_of_list(const std::string& item) {
  return Json{{"type", "array"}, {"items", Json::parse(item)}}.dump();
}

std::string schema_of_duration() {
  return any_of({whole_number(0), with_unit("[KMBT]?( +(tokens|steps?))?")});
}

std::string schema_of_seconds() { return with_unit("(ms|s|min|h|d)").dump(); }

std::string schema_of_word(const std::string& word) { return Json{{"const", word}}.dump(); }

std::string schema_of_any(const std::vector<std::string>& schemas) {
  std::vector<Json> parsed;
  for (const std::string& schema : schemas) parsed.push_back(Json::parse(schema));
  return any_of(parsed);
}

}  // namespace phalanx
