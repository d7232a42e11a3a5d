#include "data/tokenizer/unicode_class.h"

#include <algorithm>
#include <iterator>

namespace phalanx {
namespace {

struct Range {
  char32_t begin;
  char32_t last;
  UnicodeClass kind;
};

using enum UnicodeClass;

constexpr Range kRanges[] = {
#include "data/tokenizer/unicode_ranges.inc"
};

constexpr char32_t kPlane0Size = 0x10000;

struct LeadByte {
  int size;        // 0: begins no sequence
  char32_t bits;   // the bits of the code point that it holds
  char32_t least;  // smaller values are overlong forms
};

LeadByte read_lead(unsigned char byte) {
  if (byte >= 0xC2 && byte <= 0xDF) return {2, byte & 0x1Fu, 0x80};
  if (byte >= 0xE0 && byte <= 0xEF) return {3, byte & 0x0Fu, 0x800};
  if (byte >= 0xF0 && byte <= 0xF4) return {4, byte & 0x07u, 0x10000};
  return {0, 0, 0};
}

}  // namespace

UnicodeTable::UnicodeTable() : plane0_(kPlane0Size, UnicodeClass::kOther) {
  for (const Range& range : kRanges) {
    if (range.begin >= kPlane0Size) break;
    const auto last = std::min<char32_t>(range.last, kPlane0Size - 1);
    std::fill(plane0_.begin() + range.begin, plane0_.begin() + last + 1, range.kind);
  }
}

UnicodeClass UnicodeTable::search(char32_t code_point) {
  const auto after =
      std::upper_bound(std::begin(kRanges), std::end(kRanges), code_point,
                       [](char32_t value, const Range& range) { return value < range.begin; });
  if (after == std::begin(kRanges)) return UnicodeClass::kOther;
  const Range& range = *std::prev(after);
  return code_point <= range.last ? range.kind : UnicodeClass::kOther;
}

Symbol UnicodeTable::decode(std::string_view bytes) const {
  constexpr Symbol kInvalid{kInvalidByte, 1, UnicodeClass::kOther};
  const LeadByte lead = read_lead(static_cast<unsigned char>(bytes[0]));
  if (lead.size == 0 || bytes.size() < static_cast<size_t>(lead.size)) return kInvalid;
  char32_t code_point = lead.bits;
  for (int i = 1; i < lead.size; ++i) {
    const auto byte = static_cast<unsigned char>(bytes[static_cast<size_t>(i)]);
    if ((byte & 0xC0) != 0x80) return kInvalid;
    code_point = (code_point << 6) | (byte & 0x3Fu);
  }
  const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
  if (code_point < lead.least || surrogate || code_point > 0x10FFFF) return kInvalid;
  return {code_point, static_cast<uint8_t>(lead.size), class_of(code_point)};
}

}  // namespace phalanx
