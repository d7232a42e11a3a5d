// The printable stand-ins that byte-level tokenizer files use for bytes, so that a token is
// readable text in JSON: 188 printable Latin-1 characters stand for themselves, the other 68 bytes,
// in order, are U+0100 and up. Local; immutable. Source: the GPT-2 encoder's byte-to-unicode table.
// The same table orders the byte tokens of a trained vocabulary (ids 0..255 by stand-in).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace phalanx {

class ByteAlphabet {
 public:
  ByteAlphabet();

  // The token's bytes as the stand-ins' UTF-8.
  std::string to_text(std::string_view bytes) const;

  // The bytes behind stand-ins; nothing where `text` holds a character that stands for no byte.
  std::optional<std::string> to_bytes(std::string_view text) const;

  // All bytes in the order of their stand-ins' code points.
  std::string bytes_in_order() const;

 private:
  std::array<char16_t, 256> stand_ins_;
  std::array<int16_t, 0x144> bytes_;  // by stand-in; -1: none
};

}  // namespace phalanx
