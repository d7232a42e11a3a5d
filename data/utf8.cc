#include "data/utf8.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <cstdint>

namespace phalanx {

std::string first_byte_not_utf8(std::string_view text) {
  if (simdjson::validate_utf8(text)) return "";
  size_t at = 0;
  while (at < text.size()) {
    const auto lead = static_cast<uint8_t>(text[at]);
    const size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (length > 1 && !simdjson::validate_utf8(text.substr(at, length))) break;
    at += length;
  }
  return fmt::format("byte 0x{:02x} at offset {}", static_cast<uint8_t>(text.at(at)), at);
}

}  // namespace phalanx
