// What a pre-tokenizer asks of a character: letter (\p{L}, by case), mark (\p{M}), number (\p{N}),
// white space (\s), other. Local. One pinned version of Unicode, 16.0.0, the one of HF tokenizers
// 0.23 and tiktoken 0.14; unicode_ranges.inc is made by make_unicode_classes.py. Immutable after
// construction, hence free to share between threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace phalanx {

// The letters last. kUpper: \p{Lu} and \p{Lt}, kLower: \p{Ll}, kCaseless: \p{Lm} and \p{Lo}.
enum class UnicodeClass : uint8_t { kOther, kMark, kSpace, kNumber, kUpper, kLower, kCaseless };

constexpr bool is_letter(UnicodeClass kind) { return kind >= UnicodeClass::kUpper; }
// [^\s\p{L}\p{N}]
constexpr bool is_symbol(UnicodeClass kind) { return kind <= UnicodeClass::kMark; }

// One symbol of a text: a valid UTF-8 sequence, or one byte that begins none. Such a byte has
// code_point kInvalidByte, size 1 and class kOther, so that any bytes can be cut and put together.
struct Symbol {
  char32_t code_point;
  uint8_t size;  // bytes, 1..4
  UnicodeClass kind;
};

inline constexpr char32_t kInvalidByte = 0xFFFFFFFF;

class UnicodeTable {
 public:
  UnicodeTable();

  // Any value may be asked; what is no code point is kOther.
  UnicodeClass class_of(char32_t code_point) const {
    return code_point < plane0_.size() ? plane0_[code_point] : search(code_point);
  }

  // The symbol that starts at text[begin]; begin < text.size().
  Symbol symbol_at(std::string_view text, size_t begin) const {
    const auto byte = static_cast<unsigned char>(text[begin]);
    if (byte < 0x80) return {byte, 1, plane0_[byte]};
    return decode(text.substr(begin, 4));
  }

 private:
  static UnicodeClass search(char32_t code_point);
  Symbol decode(std::string_view bytes) const;

  std::vector<UnicodeClass> plane0_;  // the first 65,536 code points, one byte each
};

}  // namespace phalanx
