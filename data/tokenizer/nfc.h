// Canonical composition (NFC) as Hugging Face `tokenizers` 0.23 does it, whose tables are those of
// Unicode 9.0.0: what came later passes unchanged. nfc_table.inc is made by make_nfc_table.py.
// Local; immutable after construction, free to share between threads. Bytes that are no UTF-8 pass
// unchanged and separate what stands before and behind them. Linear time, but for runs of combining
// marks, which are sorted. Source: Unicode Standard Annex #15.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/flat_pair_map.h"
#include "data/tokenizer/unicode_class.h"

namespace phalanx {

class Nfc {
 public:
  Nfc();

  // Puts what NFC makes of `text` into `result` and returns true, or returns false where that is
  // the text itself; then `result` is untouched.
  bool apply(std::string_view text, std::string& result) const;

 private:
  struct Mark {
    char32_t code_point;
    uint8_t combining_class;
  };

  bool begins_segment(char32_t code_point) const;
  bool is_calm(std::string_view text) const;
  uint8_t class_of(char32_t code_point) const;
  void decompose(char32_t code_point, std::vector<Mark>& marks) const;
  char32_t compose(char32_t first, char32_t second) const;
  void compose_all(std::vector<Mark>& marks) const;
  void append_segment(std::string_view segment, std::string& result) const;

  UnicodeTable unicode_;
  std::vector<bool> calm_plane0_;  // begins_segment() of the first 65,536 code points
  FlatPairMap<int32_t> composed_;  // by the two parts
};

}  // namespace phalanx
