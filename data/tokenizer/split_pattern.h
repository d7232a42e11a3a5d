// The ways to cut text into pieces that are known, and how tokenizer files say them. Local; pure.
// A pattern is a regular expression in files and a set of rules here: no expression is interpreted,
// a file's is recognised by its text. Sources: OpenAI's tiktoken (cl100k_base, o200k_base), GPT-2's
// ByteLevel, and the tokenizer.json of Llama-3, Phi-4 and Qwen-2.
//   kCl100k          (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
//                    ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
//   kCl100kTiktoken  the same with |\s+\z in front of |\s*[\r\n]+: what tiktoken's wording does.
//                    White space that ends the text is one piece, line ends or not ("\n  ").
//   kO200k           words as [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*
//                    [\p{Ll}\p{Lm}\p{Lo}\p{M}]+ with the contraction behind them, and slashes as
//                    well as line ends behind symbols
//   kGpt2            '(s|t|re|ve|m|ll|d) as written, one space in front of letters, of any number
//                    of digits or of symbols, \s+(?!\S)|\s+
//   kQwen2           kCl100k with each \p{N} for itself
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace phalanx {

enum class SplitPattern { kCl100k, kCl100kTiktoken, kO200k, kGpt2, kQwen2 };

struct SplitRules {
  enum class Words { kAnyLead, kByCase, kSpaceLead };
  enum class Tail { kNone, kLineEnds, kLineEndsAndSlashes };
  Words words;       // what of a word is a piece
  Tail tail;         // what symbols take along behind them
  int max_digits;    // of a piece; 0: any number of them, with a space in front
  bool line_ends;    // white space up to its last line end is a piece
  bool final_space;  // white space that ends the text is a piece
};

constexpr SplitRules split_rules(SplitPattern pattern) {
  using Words = SplitRules::Words;
  using Tail = SplitRules::Tail;
  switch (pattern) {
    case SplitPattern::kCl100kTiktoken:
      return {Words::kAnyLead, Tail::kLineEnds, 3, true, true};
    case SplitPattern::kO200k:
      return {Words::kByCase, Tail::kLineEndsAndSlashes, 3, true, false};
    case SplitPattern::kGpt2:
      return {Words::kSpaceLead, Tail::kNone, 0, false, false};
    case SplitPattern::kQwen2:
      return {Words::kAnyLead, Tail::kLineEnds, 1, true, false};
    case SplitPattern::kCl100k:
      break;
  }
  return {Words::kAnyLead, Tail::kLineEnds, 3, true, false};
}

// The regular expression for HF files (Oniguruma's syntax); the name for messages ("cl100k").
std::string_view split_pattern_regex(SplitPattern pattern);
std::string_view split_pattern_name(SplitPattern pattern);

// The pattern that an expression of an HF file means; nothing where its text is not known.
std::optional<SplitPattern> find_split_pattern(std::string_view regex);

// The names of all patterns, for messages: "cl100k, cl100k-tiktoken, ...".
std::string split_pattern_names();

}  // namespace phalanx
