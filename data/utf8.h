#pragma once
// Whether text is UTF-8. Local, pure. Surrogates and overlong sequences are not.
#include <string>
#include <string_view>

namespace phalanx {

/// Empty when all of `text` is UTF-8; else its first byte that is not: "byte 0xff at offset 17".
[[nodiscard]] std::string first_byte_not_utf8(std::string_view text);

}  // namespace phalanx
