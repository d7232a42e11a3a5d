#include "data/tokenizer/split_pattern.h"

#include <iterator>

namespace phalanx {
namespace {

struct KnownRegex {
  SplitPattern pattern;
  std::string_view name;  // empty: another wording of the pattern
  std::string_view regex;
};

// Of a pattern's wordings the first is the one that is written.
constexpr KnownRegex kKnown[] = {
    {SplitPattern::kCl100k, "cl100k",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
     R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {SplitPattern::kCl100k, "",
     R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}|)"
     R"( ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)"},
    {SplitPattern::kCl100kTiktoken, "cl100k-tiktoken",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
     R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s+\z|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {SplitPattern::kO200k, "o200k",
     R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
     R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
     R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {SplitPattern::kGpt2, "gpt2",
     R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"},
    {SplitPattern::kQwen2, "qwen2",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
     R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
};

const KnownRegex& known(SplitPattern pattern) {
  const KnownRegex* found = std::begin(kKnown);
  while (found->pattern != pattern) ++found;
  return *found;
}

}  // namespace

std::string_view split_pattern_regex(SplitPattern pattern) { return known(pattern).regex; }

std::string_view split_pattern_name(SplitPattern pattern) { return known(pattern).name; }

std::optional<SplitPattern> find_split_pattern(std::string_view regex) {
  for (const KnownRegex& candidate : kKnown) {
    if (candidate.regex == regex) return candidate.pattern;
  }
  return std::nullopt;
}

std::string split_pattern_names() {
  std::string names;
  for (const KnownRegex& candidate : kKnown) {
    if (candidate.name.empty()) continue;
    if (!names.empty()) names += ", ";
    names += candidate.name;
  }
  return names;
}

}  // namespace phalanx
