#include "trainer/checkpoint/strict_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <vector>

namespace phalanx {
namespace {

constexpr int kMaxDepth = 32;

[[noreturn]] void wrong_type(const nlohmann::json& value, const char* expected,
                             const std::string& where) {
  throw std::invalid_argument(
      fmt::format("{}: expected {}, found {}", where, expected, value.type_name()));
}

// Without the library's name of the error, which leads its text in brackets.
std::string problem(const nlohmann::json::exception& error) {
  const std::string text = error.what();
  const size_t end = text.find("] ");
  return end == std::string::npos ? text : text.substr(end + 2);
}

}  // namespace

nlohmann::json parse_strict_json(std::string_view input, const std::string& where) {
  using Event = nlohmann::json::parse_event_t;
  // No JSON holds this byte, but the parser takes it for the end of the text.
  if (const size_t at = input.find('\0'); at != std::string_view::npos) {
    throw std::invalid_argument(fmt::format("{}: byte {}: expected JSON, found a zero", where, at));
  }
  std::vector<std::set<std::string>> keys;  // of each open object
  const auto check = [&](int depth, Event event, nlohmann::json& parsed) {
    if (depth > kMaxDepth) throw std::invalid_argument(where + ": nested too deeply");
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key && !keys.back().insert(parsed.get<std::string>()).second) {
      throw std::invalid_argument(
          fmt::format("{}: key {} occurs twice", where, parsed.get<std::string>()));
    }
    return true;
  };
  try {
    return nlohmann::json::parse(input.begin(), input.end(), check);
  } catch (const nlohmann::json::exception& error) {
    throw std::invalid_argument(fmt::format("{}: not valid JSON: {}", where, problem(error)));
  }
}

const nlohmann::json& member(const nlohmann::json& object, const char* key,
                             const std::string& where) {
  if (!object.is_object()) wrong_type(object, "an object", where);
  const auto found = object.find(key);
  if (found == object.end()) {
    throw std::invalid_argument(fmt::format("{}: key {} is missing", where, key));
  }
  return *found;
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
