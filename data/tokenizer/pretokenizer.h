// Cuts text into the pieces that byte-pair merges never cross: the cl100k pattern as a hand-written
// state machine. Local; immutable, hence free to share between threads.
// Linear time: every symbol is looked at a bounded number of times, whatever the text. Bytes that
// are not valid UTF-8 are single symbols of class "other" (unicode_class.h), so pieces always add
// up to the text. Source: the pattern of OpenAI's cl100k_base, in the two forms found in files:
//   kCl100k          (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
//                    ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
//   kCl100kTiktoken  the same with |\s+\z in front of |\s*[\r\n]+: what tiktoken's newer wording
//   does.
//                    White space that ends the text is one piece, line ends or not ("\n  ").
#pragma once

#include <cstddef>
#include <string_view>

#include "data/tokenizer/unicode_class.h"

namespace phalanx {

enum class SplitPattern { kCl100k, kCl100kTiktoken };

// The regular expression for HF files (Oniguruma's syntax); the name for messages ("cl100k",
// "cl100k-tiktoken").
std::string_view split_pattern_regex(SplitPattern pattern);
std::string_view split_pattern_name(SplitPattern pattern);

class PreTokenizer {
 public:
  explicit PreTokenizer(SplitPattern pattern) : pattern_(pattern) {}

  SplitPattern pattern() const { return pattern_; }
  const UnicodeTable& unicode() const { return unicode_; }

  // The end of the piece that starts at text[begin]; begin < text.size(). The end of `text` counts
  // as the end of the document.
  size_t piece_end(std::string_view text, size_t begin) const;

 private:
  size_t contraction_end(std::string_view text, size_t begin) const;
  size_t run_end(std::string_view text, size_t begin, UnicodeClass kind) const;
  size_t digits_end(std::string_view text, size_t begin) const;
  size_t others_end(std::string_view text, size_t begin) const;
  size_t space_end(std::string_view text, size_t begin) const;

  SplitPattern pattern_;
  UnicodeTable unicode_;
};

}  // namespace phalanx
