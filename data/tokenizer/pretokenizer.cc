#include "data/tokenizer/pretokenizer.h"

namespace phalanx {
namespace {

constexpr int kMaxDigits = 3;
constexpr char32_t kLongS = 0x17F;  // the one letter outside ASCII that equals s, ignoring case

bool is_line_end(char32_t code_point) { return code_point == '\r' || code_point == '\n'; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

std::string_view split_pattern_regex(SplitPattern pattern) {
  if (pattern == SplitPattern::kCl100kTiktoken) {
    return R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
           R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s+\z|\s*[\r\n]+|\s+(?!\S)|\s+)";
  }
  return R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
         R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
}

std::string_view split_pattern_name(SplitPattern pattern) {
  return pattern == SplitPattern::kCl100kTiktoken ? "cl100k-tiktoken" : "cl100k";
}

size_t PreTokenizer::piece_end(std::string_view text, size_t begin) const {
  const Symbol first = unicode_.symbol_at(text, begin);
  const size_t second_begin = begin + first.size;
  if (first.kind == UnicodeClass::kLetter) return run_end(text, second_begin, first.kind);
  if (first.kind == UnicodeClass::kNumber) return digits_end(text, begin);
  if (first.code_point == '\'') {
    const size_t end = contraction_end(text, begin);
    if (end != begin) return end;
  }
  if (second_begin < text.size() && !is_line_end(first.code_point)) {
    const Symbol second = unicode_.symbol_at(text, second_begin);
    if (second.kind == UnicodeClass::kLetter) {
      return run_end(text, second_begin + second.size, second.kind);
    }
    if (first.code_point == ' ' && second.kind == UnicodeClass::kOther) {
      return others_end(text, second_begin);
    }
  }
  return first.kind == UnicodeClass::kOther ? others_end(text, begin) : space_end(text, begin);
}

// 's 't 'm 'd 're 've 'll in any case, or `begin` where there is none.
size_t PreTokenizer::contraction_end(std::string_view text, size_t begin) const {
  if (begin + 1 >= text.size()) return begin;
  const char first = lower(text[begin + 1]);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return begin + 2;
  const Symbol symbol = unicode_.symbol_at(text, begin + 1);
  if (symbol.code_point == kLongS) return begin + 1 + symbol.size;
  if (begin + 2 >= text.size()) return begin;
  const char second = lower(text[begin + 2]);
  const bool found =
      ((first == 'r' || first == 'v') && second == 'e') || (first == 'l' && second == 'l');
  return found ? begin + 3 : begin;
}

size_t PreTokenizer::run_end(std::string_view text, size_t begin, UnicodeClass kind) const {
  size_t end = begin;
  while (end < text.size()) {
    const Symbol symbol = unicode_.symbol_at(text, end);
    if (symbol.kind != kind) break;
    end += symbol.size;
  }
  return end;
}

size_t PreTokenizer::digits_end(std::string_view text, size_t begin) const {
  size_t end = begin;
  for (int i = 0; i < kMaxDigits && end < text.size(); ++i) {
    const Symbol symbol = unicode_.symbol_at(text, end);
    if (symbol.kind != UnicodeClass::kNumber) break;
    end += symbol.size;
  }
  return end;
}

// A run of "other" symbols and the line ends behind it.
size_t PreTokenizer::others_end(std::string_view text, size_t begin) const {
  size_t end = run_end(text, begin, UnicodeClass::kOther);
  while (end < text.size() && is_line_end(static_cast<unsigned char>(text[end]))) ++end;
  return end;
}

// White space that leads no word: up to the last line end of the run; without one, all but the last
// symbol of the run, which belongs to the next word. Each rule shortens the run at most once, so a
// run is read at most three times.
size_t PreTokenizer::space_end(std::string_view text, size_t begin) const {
  size_t end = begin;
  size_t last_begin = begin;
  size_t line_end = begin;
  while (end < text.size()) {
    const Symbol symbol = unicode_.symbol_at(text, end);
    if (symbol.kind != UnicodeClass::kSpace) break;
    last_begin = end;
    end += symbol.size;
    if (is_line_end(symbol.code_point)) line_end = end;
  }
  const bool ends_text = end == text.size();
  if (ends_text && pattern_ == SplitPattern::kCl100kTiktoken) return end;
  if (line_end != begin) return line_end;
  if (ends_text || last_begin == begin) return end;
  return last_begin;
}

}  // namespace phalanx
