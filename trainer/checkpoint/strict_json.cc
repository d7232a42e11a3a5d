#include "trainer/checkpoint/strict_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace phalanx {
namespace {

[[noreturn]] void wrong_type(const nlohmann::json& value, const char* expected,
                             const std::string& where) {
  throw std::invalid_argument(
      fmt::format("{}: expected {}, found {}", where, expected, value.type_name()));
}

}  // namespace

const nlohmann::json& member(const nlohmann::json& object, const char* key,
                             const std::string& where) {
  const auto found = phalanx::object(object, where).find(key);
  if (found == object.end()) {
    throw std::invalid_argument(fmt::format("{}: key {} is missing", where, key));
  }
  return *found;
}

const nlohmann::json& object(const nlohmann::json& value, const std::string& where) {
  if (!value.is_object()) wrong_type(value, "an object", where);
  return value;
}

const nlohmann::json& array(const nlohmann::json& value, const std::string& where) {
  if (!value.is_array()) wrong_type(value, "an array", where);
  return value;
}

int64_t integer(const nlohmann::json& value, const std::string& where) {
  if (!value.is_number_integer()) wrong_type(value, "an integer", where);
  if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT64_MAX}) {
    throw std::invalid_argument(fmt::format("{}: {} is too large", where, value.get<uint64_t>()));
  }
  return value.get<int64_t>();
}

std::string text(const nlohmann::json& value, const std::string& where) {
  if (!value.is_string()) wrong_type(value, "a string", where);
  return value.get<std::string>();
}

void refuse_json(const std::string& where, const char* expected, const nlohmann::json& found) {
  throw std::invalid_argument(
      fmt::format("{}: expected {}, found {}", where, expected, found.dump()));
}

}  // namespace phalanx
