#include "data/tokenizer/nfc.h"

#include <algorithm>
#include <iterator>

namespace phalanx {
namespace {

struct Decomposition {
  char32_t code_point;
  char32_t first;
  char32_t second;  // 0: none
  bool composes;    // back from its parts
};
struct ClassRange {
  char32_t begin;
  char32_t last;
  uint8_t combining_class;
};

#include "data/tokenizer/nfc_table.inc"

// Hangul syllables, by rule (section 3.12 of the Unicode Standard).
constexpr char32_t kSyllables = 0xAC00, kLeads = 0x1100, kVowels = 0x1161, kTails = 0x11A7;
constexpr char32_t kNumLeads = 19, kNumVowels = 21, kNumTails = 28;
constexpr char32_t kNumSyllables = kNumLeads * kNumVowels * kNumTails;
constexpr char32_t kPlane0Size = 0x10000;

bool is_syllable(char32_t c) { return c - kSyllables < kNumSyllables; }

const Decomposition* find_decomposition(char32_t code_point) {
  const auto* found = std::lower_bound(
      std::begin(kDecompositions), std::end(kDecompositions), code_point,
      [](const Decomposition& entry, char32_t value) { return entry.code_point < value; });
  return found != std::end(kDecompositions) && found->code_point == code_point ? found : nullptr;
}

void append_utf8(char32_t c, std::string& text) {
  const auto tail = [c](int shift) { return static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += {static_cast<char>(0xC0 | (c >> 6)), tail(0)};
  } else if (c < 0x10000) {
    text += {static_cast<char>(0xE0 | (c >> 12)), tail(6), tail(0)};
  } else {
    text += {static_cast<char>(0xF0 | (c >> 18)), tail(12), tail(6), tail(0)};
  }
}

}  // namespace

Nfc::Nfc() : calm_plane0_(kPlane0Size, true) {
  const auto disturb = [this](char32_t c) {
    if (c < kPlane0Size) calm_plane0_[c] = false;
  };
  for (const Decomposition& entry : kDecompositions) {
    if (entry.composes) {
      const auto first = static_cast<int32_t>(entry.first);
      composed_(first, static_cast<int32_t>(entry.second)) = static_cast<int32_t>(entry.code_point);
      disturb(entry.second);
    } else {
      disturb(entry.code_point);
    }
  }
  for (const ClassRange& range : kClasses) {
    for (char32_t c = range.begin; c <= range.last; ++c) disturb(c);
  }
  for (char32_t c = kVowels; c < kVowels + kNumVowels; ++c) disturb(c);
  for (char32_t c = kTails + 1; c < kTails + kNumTails; ++c) disturb(c);
}

// Beyond plane 0, where texts are rarely, whatever the tables name may change.
bool Nfc::begins_segment(char32_t code_point) const {
  if (code_point < kPlane0Size) return calm_plane0_[code_point];
  if (code_point == kInvalidByte) return true;
  if (class_of(code_point) != 0) return false;
  if (const Decomposition* found = find_decomposition(code_point)) return found->composes;
  return std::none_of(
      std::begin(kDecompositions), std::end(kDecompositions),
      [code_point](const auto& entry) { return entry.composes && entry.second == code_point; });
}

uint8_t Nfc::class_of(char32_t code_point) const {
  const auto* after =
      std::upper_bound(std::begin(kClasses), std::end(kClasses), code_point,
                       [](char32_t value, const ClassRange& range) { return value < range.begin; });
  if (after == std::begin(kClasses)) return 0;
  const ClassRange& range = *std::prev(after);
  return code_point <= range.last ? range.combining_class : 0;
}

void Nfc::decompose(char32_t code_point, std::vector<Mark>& marks) const {
  if (is_syllable(code_point)) {
    const char32_t index = code_point - kSyllables;
    marks.push_back({kLeads + index / (kNumVowels * kNumTails), 0});
    marks.push_back({kVowels + index / kNumTails % kNumVowels, 0});
    if (index % kNumTails != 0) marks.push_back({kTails + index % kNumTails, 0});
    return;
  }
  const Decomposition* found = find_decomposition(code_point);
  if (found == nullptr) {
    marks.push_back({code_point, class_of(code_point)});
    return;
  }
  decompose(found->first, marks);
  if (found->second != 0) decompose(found->second, marks);
}

// 0 where the two do not compose.
char32_t Nfc::compose(char32_t first, char32_t second) const {
  if (first - kLeads < kNumLeads && second - kVowels < kNumVowels) {
    return kSyllables + ((first - kLeads) * kNumVowels + (second - kVowels)) * kNumTails;
  }
  const bool open = is_syllable(first) && (first - kSyllables) % kNumTails == 0;
  if (open && second - kTails - 1 < kNumTails - 1) return first + (second - kTails);
  const int32_t* found = composed_.find(static_cast<int32_t>(first), static_cast<int32_t>(second));
  return found == nullptr ? 0 : static_cast<char32_t>(*found);
}

// A mark composes with the last starter unless one of its class or above, or another starter,
// stands between.
void Nfc::compose_all(std::vector<Mark>& marks) const {
  size_t size = 0;
  size_t starter = marks.size();
  for (const Mark mark : marks) {
    const bool blocked =
        starter == marks.size() ||
        (starter + 1 != size && marks[size - 1].combining_class >= mark.combining_class);
    const char32_t made = blocked ? 0 : compose(marks[starter].code_point, mark.code_point);
    if (made != 0) {
      marks[starter].code_point = made;
      continue;
    }
    if (mark.combining_class == 0) starter = size;
    marks[size++] = mark;
  }
  marks.resize(size);
}

void Nfc::append_segment(std::string_view segment, std::string& result) const {
  std::vector<Mark> marks;
  for (size_t at = 0; at < segment.size();) {
    const Symbol symbol = unicode_.symbol_at(segment, at);
    if (symbol.code_point == kInvalidByte) {  // which begins a segment, so nothing is before it
      result += segment[at];
    } else {
      decompose(symbol.code_point, marks);
    }
    at += symbol.size;
  }
  for (auto begin = marks.begin(); begin != marks.end();) {
    if (begin->combining_class == 0) {
      ++begin;
      continue;
    }
    const auto end = std::find_if(begin, marks.end(),
                                  [](const Mark& mark) { return mark.combining_class == 0; });
    std::stable_sort(begin, end, [](const Mark& a, const Mark& b) {
      return a.combining_class < b.combining_class;
    });
    begin = end;
  }
  compose_all(marks);
  for (const Mark& mark : marks) append_utf8(mark.code_point, result);
}

bool Nfc::is_calm(std::string_view text) const {
  for (size_t at = 0; at < text.size();) {
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      ++at;
      continue;
    }
    const Symbol symbol = unicode_.symbol_at(text, at);
    if (!begins_segment(symbol.code_point)) return false;
    at += symbol.size;
  }
  return true;
}

bool Nfc::apply(std::string_view text, std::string& result) const {
  if (is_calm(text)) return false;
  result.clear();
  size_t begin = 0;  // of what is not in the result yet
  size_t last = 0;   // place of the last symbol that begins a segment
  bool calm = true;  // the segment that begins at `last`, so far
  for (size_t at = 0; at < text.size();) {
    const Symbol symbol = unicode_.symbol_at(text, at);
    if (begins_segment(symbol.code_point)) {
      if (!calm) {
        append_segment(text.substr(begin, at - begin), result);
        begin = at;
      }
      calm = true;
      last = at;
    } else if (calm) {
      result += text.substr(begin, last - begin);
      begin = last;
      calm = false;
    }
    at += symbol.size;
  }
  const std::string_view rest = text.substr(begin);
  if (calm) {
    result += rest;
  } else {
    append_segment(rest, result);
  }
  return true;
}

}  // namespace phalanx
