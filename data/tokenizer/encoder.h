// Encodes many texts with one tokenizer: keeps a bounded cache of recent pieces and the working
// memory. Local; one per thread, the Tokenizer is shared and must outlive it. The ids do not depend
// on the cache. Linear time in the text apart from pieces beyond 48 bytes, which take n log n
// (bpe_merger.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "data/tokenizer/bpe_merger.h"
#include "data/tokenizer/tokenizer.h"

namespace phalanx {

inline constexpr size_t kEncoderCacheSlots = size_t{1} << 14;  // of 64 bytes: 1 MiB

class Encoder {
 public:
  // cache_slots: a power of two, or 0 for none.
  explicit Encoder(const Tokenizer& tokenizer, EncodeOptions options = {},
                   size_t cache_slots = kEncoderCacheSlots);

  // Appends the ids of one document to `ids`.
  void encode(std::string_view text, std::vector<int32_t>& ids);

  // Work done in merges so far (MergeScratch).
  uint64_t num_steps() const { return scratch_.num_steps; }

 private:
  static constexpr size_t kCachedBytes = 30;
  static constexpr size_t kCachedIds = 8;
  struct CachedPiece {
    uint8_t piece_size = 0;
    uint8_t num_ids = 0;
    std::array<char, kCachedBytes> piece;
    std::array<int32_t, kCachedIds> ids;
  };
  struct SpecialMatch {
    size_t begin;
    size_t end;
    const SpecialToken* token;  // null: no match
  };

  void encode_with_specials(std::string_view text, std::vector<int32_t>& ids);
  void encode_ordinary(std::string_view text, std::vector<int32_t>& ids);
  void encode_piece(std::string_view piece, std::vector<int32_t>& ids);
  void merge_piece(std::string_view piece, std::vector<int32_t>& ids);
  SpecialMatch find_special(std::string_view text, size_t begin) const;
  size_t trailing_space_begin(std::string_view text, size_t begin, size_t end) const;
  size_t leading_space_end(std::string_view text, size_t begin) const;

  const Tokenizer& tokenizer_;
  EncodeOptions options_;
  const UnicodeTable& unicode_;
  std::vector<const SpecialToken*> specials_;  // longest first
  std::vector<CachedPiece> cache_;
  MergeScratch scratch_;
};

}  // namespace phalanx
