#include "configs/yaml_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace phalanx {

bool is_name(const std::string& text, bool dots_allowed) {
  return !text.empty() && text.front() != '.' && text.front() != '-' && text.size() <= 100 &&
         std::all_of(text.begin(), text.end(), [&](unsigned char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || (dots_allowed && c == '.');
         });
}

std::string quote_for_yaml(const std::string& text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '-' || c == '.' || c == '/';
  });
  if (plain && text.front() != '-' && text.front() != '.' && text != "null" && text != "true" &&
      text != "false") {
    return text;
  }
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace phalanx
