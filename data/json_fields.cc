#include "data/json_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

namespace phalanx {

namespace {

std::string_view type_name(const JsonValue& value) {
  using Type = simdjson::dom::element_type;
  switch (value.type()) {
    case Type::ARRAY:
      return "array";
    case Type::OBJECT:
      return "object";
    case Type::STRING:
      return "string";
    case Type::BOOL:
      return "boolean";
    case Type::NULL_VALUE:
      return "null";
    default:
      return "number";
  }
}

/// With line and column, which only the slower parser knows; `otherwise` where that finds none. No
/// value is kept: a tree would take much memory, and some even as it is freed.
std::string syntax_error(std::string_view json, const char* otherwise) {
  const auto drop = [](int, Json::parse_event_t, Json&) { return false; };
  try {
    [[maybe_unused]] const Json nothing = Json::parse(json, drop);
  } catch (const Json::exception& error) {  // a number beyond range is no parse_error
    return error.what();
  }
  return otherwise;
}

}  // namespace

JsonDocument::JsonDocument(std::string_view json, const std::string& where) {
  // No JSON holds this byte; what shows the text to a person would end here.
  if (const size_t at = json.find('\0'); at != std::string_view::npos) {
    throw std::invalid_argument(fmt::format("{}: byte {}: expected JSON, found a zero", where, at));
  }
  const auto error = parser_.parse(json.data(), json.size()).get(root_);
  if (error == simdjson::SUCCESS) return;
  if (error == simdjson::MEMALLOC) throw std::bad_alloc();
  throw std::invalid_argument(fmt::format("{}: not valid JSON: {}", where,
                                          syntax_error(json, simdjson::error_message(error))));
}

void refuse(const std::string& place, const std::string& expected, const std::string& found) {
  throw std::invalid_argument(fmt::format("{}: expected {}, found {}", place, expected, found));
}

// A list or an object may be as deep as the file is long.
std::string shown(const JsonValue& value) {
  if (value.is_array() || value.is_object()) return std::string(type_name(value));
  return simdjson::minify(value);
}

std::optional<int64_t> find_count(const JsonValue& value, int64_t low, int64_t high) {
  int64_t count = 0;
  if (value.get(count) != simdjson::SUCCESS || count < low || count > high) return std::nullopt;
  return count;
}

std::optional<uint64_t> find_hash(const JsonValue& value) {
  std::string_view digits;
  if (value.get(digits) != simdjson::SUCCESS || digits.size() != 16) return std::nullopt;
  uint64_t hash = 0;
  const char* end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, hash, 16);
  return parsed.ec == std::errc() && parsed.ptr == end ? std::optional(hash) : std::nullopt;
}

void refuse_count(const JsonValue& value, const std::string& place, int64_t low, int64_t high) {
  refuse(place, fmt::format("a whole number from {} to {}", low, high), shown(value));
}

void refuse_hash(const JsonValue& value, const std::string& place) {
  refuse(place, value.is_string() ? "16 hexadecimal digits" : "a string", shown(value));
}

JsonFields::JsonFields(const JsonValue& object, std::string place) : place_(std::move(place)) {
  if (object.get(object_) != simdjson::SUCCESS) {
    refuse(place_, "an object", std::string(type_name(object)));
  }
  // The parser keeps a doubled key and finds the first.
  std::vector<std::string_view> keys;
  for (const auto field : object_) keys.push_back(field.key);
  std::sort(keys.begin(), keys.end());
  const auto doubled = std::adjacent_find(keys.begin(), keys.end());
  if (doubled != keys.end()) refuse(place_, "each key once", fmt::format("{} twice", *doubled));
}

std::string JsonFields::place(std::string_view key) const {
  return fmt::format("{}: {}", place_, key);
}

JsonValue JsonFields::at(const char* key) const {
  JsonValue value;
  if (object_[key].get(value) != simdjson::SUCCESS) refuse(place(key), "a value", "no such field");
  return value;
}

std::string JsonFields::text(const char* key) const {
  std::string_view text;
  if (at(key).get(text) != simdjson::SUCCESS) refuse(place(key), "a string", shown(at(key)));
  return std::string(text);
}

int64_t JsonFields::count(const char* key, int64_t low, int64_t high) const {
  return json_count(
      at(key), [&] { return place(key); }, low, high);
}

uint64_t JsonFields::seed(const char* key) const {
  uint64_t seed = 0;
  if (at(key).get(seed) != simdjson::SUCCESS) refuse(place(key), "a whole number", shown(at(key)));
  return seed;
}

double JsonFields::number(const char* key) const {
  double number = 0.0;
  if (at(key).get(number) != simdjson::SUCCESS) refuse(place(key), "a number", shown(at(key)));
  return number;
}

bool JsonFields::flag(const char* key) const {
  bool flag = false;
  if (at(key).get(flag) != simdjson::SUCCESS) refuse(place(key), "true or false", shown(at(key)));
  return flag;
}

uint64_t JsonFields::hash(const char* key) const {
  return json_hash(at(key), [&] { return place(key); });
}

simdjson::dom::array JsonFields::list(const char* key) const {
  simdjson::dom::array list;
  if (at(key).get(list) != simdjson::SUCCESS) {
    refuse(place(key), "a list", std::string(type_name(at(key))));
  }
  return list;
}

}  // namespace phalanx
