#include "data/tokenizer/byte_alphabet.h"

namespace phalanx {
namespace {

bool stands_for_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

}  // namespace

ByteAlphabet::ByteAlphabet() {
  bytes_.fill(-1);
  char16_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const char16_t stand_in = stands_for_itself(byte) ? static_cast<char16_t>(byte) : next++;
    stand_ins_[static_cast<size_t>(byte)] = stand_in;
    bytes_[stand_in] = static_cast<int16_t>(byte);
  }
}

std::string ByteAlphabet::to_text(std::string_view bytes) const {
  std::string text;
  for (const char byte : bytes) {
    const char16_t stand_in = stand_ins_[static_cast<unsigned char>(byte)];
    if (stand_in < 0x80) {
      text += static_cast<char>(stand_in);
    } else {
      text += static_cast<char>(0xC0 | (stand_in >> 6));
      text += static_cast<char>(0x80 | (stand_in & 0x3F));
    }
  }
  return text;
}

std::optional<std::string> ByteAlphabet::to_bytes(std::string_view text) const {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    size_t stand_in = static_cast<unsigned char>(text[i]);
    if (stand_in >= 0x80) {
      // Every stand-in above ASCII has two bytes in UTF-8.
      if (stand_in < 0xC2 || stand_in > 0xDF || i + 1 == text.size()) return std::nullopt;
      stand_in = (stand_in & 0x1F) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3F);
    }
    if (stand_in >= bytes_.size() || bytes_[stand_in] < 0) return std::nullopt;
    bytes += static_cast<char>(bytes_[stand_in]);
  }
  return bytes;
}

std::string ByteAlphabet::bytes_in_order() const {
  std::string bytes;
  for (const int16_t byte : bytes_) {
    if (byte >= 0) bytes += static_cast<char>(byte);
  }
  return bytes;
}

}  // namespace phalanx
