#include "data/json_fields.h"

#include <fmt/format.h>

#include <charconv>
#include <stdexcept>
#include <utility>

namespace phalanx {

Json parse_json(std::string_view json, const std::string& where) {
  try {
    return Json::parse(json);
  } catch (const Json::parse_error& error) {
    throw std::invalid_argument(fmt::format("{}: not valid JSON: {}", where, error.what()));
  }
}

void refuse(const std::string& place, const std::string& expected, const std::string& found) {
  throw std::invalid_argument(fmt::format("{}: expected {}, found {}", place, expected, found));
}

// A list or an object may be as deep as the file is long.
std::string shown(const Json& value) {
  return value.is_structured() ? value.type_name() : value.dump();
}

JsonFields::JsonFields(const Json& object, std::string place)
    : object_(object), place_(std::move(place)) {
  if (!object.is_object()) refuse(place_, "an object", object.type_name());
}

std::string JsonFields::place(std::string_view key) const {
  return fmt::format("{}: {}", place_, key);
}

const Json& JsonFields::at(const char* key) const {
  const auto found = object_.find(key);
  if (found == object_.end()) refuse(place(key), "a value", "no such field");
  return *found;
}

std::string JsonFields::text(const char* key) const {
  if (!at(key).is_string()) refuse(place(key), "a string", shown(at(key)));
  return at(key).get<std::string>();
}

int64_t JsonFields::count(const char* key, int64_t low, int64_t high) const {
  const Json& value = at(key);
  if (!value.is_number_integer() || value.get<double>() < static_cast<double>(low) ||
      value.get<double>() > static_cast<double>(high)) {
    refuse(place(key), fmt::format("a whole number from {} to {}", low, high), shown(value));
  }
  return value.get<int64_t>();
}

bool JsonFields::flag(const char* key) const {
  if (!at(key).is_boolean()) refuse(place(key), "true or false", shown(at(key)));
  return at(key).get<bool>();
}

uint64_t JsonFields::hash(const char* key) const {
  const std::string digits = text(key);
  uint64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, value, 16);
  if (digits.size() != 16 || parsed.ec != std::errc() || parsed.ptr != end) {
    refuse(place(key), "16 hexadecimal digits", fmt::format("\"{}\"", digits));
  }
  return value;
}

const Json& JsonFields::list(const char* key) const {
  if (!at(key).is_array()) refuse(place(key), "a list", at(key).type_name());
  return at(key);
}

}  // namespace phalanx
