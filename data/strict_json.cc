#include "data/strict_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <vector>

namespace phalanx {
namespace {

// Without the library's name of the error, which leads its text in brackets.
std::string problem(const nlohmann::json::exception& error) {
  const std::string text = error.what();
  const size_t end = text.find("] ");
  return end == std::string::npos ? text : text.substr(end + 2);
}

}  // namespace

nlohmann::json parse_strict_json(std::string_view input, const std::string& where, int max_depth) {
  using Event = nlohmann::json::parse_event_t;
  // No JSON holds this byte, but the parser takes it for the end of the text.
  if (const size_t at = input.find('\0'); at != std::string_view::npos) {
    throw std::invalid_argument(fmt::format("{}: byte {}: expected JSON, found a zero", where, at));
  }
  std::vector<std::set<std::string>> keys;  // of each open object
  // While parsing: the library would recurse over the one and silently keep the last of the other.
  const auto check = [&](int depth, Event event, nlohmann::json& parsed) {
    if (depth > max_depth) {
      throw std::invalid_argument(
          fmt::format("{}: nested deeper than {} levels", where, max_depth));
    }
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

}  // namespace phalanx
