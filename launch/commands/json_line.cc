#include "launch/commands/json_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace phalanx {
namespace {

using nlohmann::json;

// What the library says of a broken line, without its own names and with the end of what it read
// only: a line may be a whole book.
std::string json_problem(std::string text) {
  constexpr size_t kShown = 40;
  const std::string column = "column ";
  if (const size_t at = text.find(column); at != std::string::npos) text.erase(0, at);
  const std::string quote = "last read: '";
  const size_t begin = text.find(quote);
  const size_t end = text.rfind('\'');
  if (begin == std::string::npos || end < begin + quote.size() + kShown) return text;
  size_t cut = end - kShown;
  while (cut < end && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) ++cut;  // UTF-8
  return text.replace(begin + quote.size(), cut - begin - quote.size(), "...");
}

}  // namespace

json parse_line(const std::string& line, const std::string& place) {
  try {
    return json::parse(line);
  } catch (const json::exception& error) {
    throw std::invalid_argument(
        fmt::format("{}: not valid JSON: {}", place, json_problem(error.what())));
  }
}

std::string shown(const json& value) {
  const auto nested = [](const json& part) { return part.is_structured(); };
  if (value.is_structured() && std::any_of(value.begin(), value.end(), nested)) {
    return fmt::format("{} in which others lie", value.is_array() ? "an array" : "an object");
  }
  const std::string text = value.dump(-1, ' ', true);
  return text.size() <= 60 ? text : text.substr(0, 60) + "...";
}

}  // namespace phalanx
