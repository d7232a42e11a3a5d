// Cuts text into the pieces that byte-pair merges never cross, by one of the patterns of
// split_pattern.h. Local; immutable, hence free to share between threads.
// Linear time: every symbol is looked at a bounded number of times, whatever the text. Bytes that
// are not valid UTF-8 are single symbols of class "other" (unicode_class.h), so pieces always add
// up to the text.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "data/tokenizer/piece_cutter.h"
#include "data/tokenizer/split_pattern.h"
#include "data/tokenizer/unicode_class.h"

namespace phalanx {

class PreTokenizer {
 public:
  explicit PreTokenizer(SplitPattern pattern) : pattern_(pattern) {}

  SplitPattern pattern() const { return pattern_; }
  const UnicodeTable& unicode() const { return unicode_; }

  // Calls work(cutter) with the PieceCutter of `text`. The end of `text` counts as the end of the
  // document.
  template <typename Work>
  auto with_cutter(std::string_view text, const Work& work) const {
    switch (pattern_) {
      case SplitPattern::kCl100kTiktoken:
        return work(PieceCutter<SplitPattern::kCl100kTiktoken>(unicode_, text));
      case SplitPattern::kO200k:
        return work(PieceCutter<SplitPattern::kO200k>(unicode_, text));
      case SplitPattern::kGpt2:
        return work(PieceCutter<SplitPattern::kGpt2>(unicode_, text));
      case SplitPattern::kQwen2:
        return work(PieceCutter<SplitPattern::kQwen2>(unicode_, text));
      case SplitPattern::kCl100k:
        break;
    }
    return work(PieceCutter<SplitPattern::kCl100k>(unicode_, text));
  }

  // The end of the piece that starts at text[begin]; begin < text.size().
  size_t piece_end(std::string_view text, size_t begin) const;

  // Calls take(piece) for each piece, in order.
  template <typename Take>
  void each_piece(std::string_view text, const Take& take) const {
    with_cutter(text, [&](const auto& cutter) {
      std::array<size_t, 4 * cutter.kRoom> ends;
      for (size_t begin = 0; begin < text.size();) {
        const size_t num_ends = cutter.ends_from(begin, ends);
        for (size_t i = 0; i < num_ends; ++i) {
          take(text.substr(begin, ends[i] - begin));
          begin = ends[i];
        }
      }
    });
  }

 private:
  SplitPattern pattern_;
  UnicodeTable unicode_;
};

}  // namespace phalanx
