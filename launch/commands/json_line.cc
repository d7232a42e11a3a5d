#include "launch/commands/json_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>

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

int32_t read_id(const json& value, int64_t num_ids, const std::string& place) {
  const bool found =
      value.is_number_integer() &&
      (value.is_number_unsigned() ? value.get<uint64_t>() < static_cast<uint64_t>(num_ids)
                                  : value.get<int64_t>() >= 0 && value.get<int64_t>() < num_ids);
  if (found) return value.get<int32_t>();
  throw std::invalid_argument(
      fmt::format("{}: expected an id from 0 to {}, found {}", place, num_ids - 1, shown(value)));
}

std::vector<int32_t> read_ids(const json& array, int64_t num_ids, const std::string& place) {
  if (!array.is_array()) {
    throw std::invalid_argument(
        fmt::format("{}: expected an array of ids, found {}", place, shown(array)));
  }
  std::vector<int32_t> ids;
  for (const json& value : array) {
    ids.push_back(read_id(value, num_ids, fmt::format("{}: token {}", place, ids.size())));
  }
  return ids;
}

// A failed read looks like the end of the input; std::cin keeps its reason in stdin.
void check_read(const std::istream& in) {
  if (in.bad() || (&in == &std::cin && std::ferror(stdin) != 0)) {
    throw std::system_error(EIO, std::generic_category(), "cannot read standard input");
  }
}

void write_at_once(std::ostream& out, const std::string& text) {
  errno = 0;
  if (out << text << std::flush) return;
  throw std::system_error(errno == 0 ? EIO : errno, std::generic_category(),
                          "cannot write standard output");
}

}  // namespace phalanx
