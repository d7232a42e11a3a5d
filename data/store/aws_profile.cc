#include "data/store/aws_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <stdexcept>

namespace phalanx {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

/// Words one space apart: "profile  a" and "profile a" are one section.
std::string squeezed(std::string_view name) {
  std::string result;
  for (const char c : trimmed(name)) {
    const bool space = c == ' ' || c == '\t';
    if (!space || !result.ends_with(' ')) result.push_back(space ? ' ' : c);
  }
  return result;
}

/// Of "[name]", behind which there may be a remark.
std::optional<std::string_view> section_name(std::string_view line) {
  const size_t end = line.find(']');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view rest = trimmed(line.substr(end + 1));
  if (!rest.empty() && rest.front() != '#' && rest.front() != ';') return std::nullopt;
  return line.substr(1, end - 1);
}

}  // namespace

std::map<std::string, std::string> read_aws_section(std::string_view text, std::string_view section,
                                                    const std::string& where) {
  std::map<std::string, std::string> settings;
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  bool inside = false;
  int number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    const std::string_view content = trimmed(line);
    if (content.empty() || content.front() == '#' || content.front() == ';') continue;
    if (content.front() == '[') {
      const std::optional<std::string_view> name = section_name(content);
      if (!name) {
        throw std::invalid_argument(
            fmt::format("{}:{}: expected a ] at the end of a section's name", where, number));
      }
      inside = squeezed(*name) == section;
      continue;
    }
    if (!inside || line.front() == ' ' || line.front() == '\t') continue;
    const size_t equals = content.find('=');
    if (equals == std::string_view::npos) {
      throw std::invalid_argument(fmt::format("{}:{}: expected name = value", where, number));
    }
    settings[lower(trimmed(content.substr(0, equals)))] = trimmed(content.substr(equals + 1));
  }
  return settings;
}

std::string config_section(const std::string& profile) {
  return profile == "default" ? profile : "profile " + profile;
}

}  // namespace phalanx
