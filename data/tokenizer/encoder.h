// Encodes many texts with one tokenizer: keeps bounded caches of recent pieces and the working
// memory. Local; one per thread, the Tokenizer is shared and must outlive it. The ids do not depend
// on the caches. Linear time in the text; pieces beyond 48 bytes of tokenizers whose merges
// long_merger.h cannot take need n log n (bpe_merger.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/bpe_merger.h"
#include "data/tokenizer/long_merger.h"
#include "data/tokenizer/piece_cache.h"
#include "data/tokenizer/special_finder.h"
#include "data/tokenizer/tokenizer.h"

namespace phalanx {

inline constexpr size_t kEncoderCacheSlots = size_t{1} << 17;  // 6 MiB in all

class Encoder {
 public:
  // cache_slots: a power of two, of 48 bytes each, or 0 for none.
  explicit Encoder(const Tokenizer& tokenizer, EncodeOptions options = {},
                   size_t cache_slots = kEncoderCacheSlots);

  // Appends the ids of one document to `ids`.
  void encode(std::string_view text, std::vector<int32_t>& ids);

  // Work done in merges so far (MergeScratch, LongScratch).
  uint64_t num_steps() const { return scratch_.num_steps + long_scratch_.num_steps; }

 private:
  static constexpr size_t kBatch = 192;
  // Pieces of one text whose places in the caches are on their way from memory.
  struct Batch {
    struct Entry {
      PieceKey key;
      size_t end;
      size_t place;  // in the cache
    };
    size_t begin = 0;  // of the first piece
    size_t size = 0;
    std::array<Entry, kBatch> entries;
  };
  // A piece that is no token and does not fit PieceCache.
  static constexpr size_t kLongBytes = 30;
  static constexpr size_t kLongIds = 8;
  struct alignas(64) LongPiece {
    uint8_t piece_size = 0;
    uint8_t num_ids = 0;
    std::array<char, kLongBytes> piece;
    std::array<int32_t, kLongIds> ids;
  };

  template <typename Rest>
  void split_at_specials(std::string_view text, const SpecialFinder& finder,
                         std::vector<int32_t>& ids, const Rest& rest) const;
  void encode_raw(std::string_view text, std::vector<int32_t>& ids);
  void encode_normalized(std::string_view text, std::vector<int32_t>& ids);
  void encode_ordinary(std::string_view text, std::vector<int32_t>& ids);
  template <typename Cutter>
  size_t cut_batch(const Cutter& cutter, std::string_view text, size_t begin, Batch& batch) const;
  void prefetch_tokens(const Batch& batch) const;
  void encode_batch(std::string_view text, const Batch& batch, std::vector<int32_t>& ids);
  void encode_piece(std::string_view piece, const PieceKey& key, std::vector<int32_t>& ids);
  void merge_piece(std::string_view piece, std::vector<int32_t>& ids);
  size_t trailing_space_begin(std::string_view text, size_t begin, size_t end) const;
  size_t leading_space_end(std::string_view text, size_t begin) const;

  const Tokenizer& tokenizer_;
  EncodeOptions options_;
  const UnicodeTable& unicode_;
  SpecialFinder raw_specials_;         // sought before the text is normalized
  SpecialFinder normalized_specials_;  // and after
  PieceCache cache_;
  std::vector<LongPiece> long_cache_;
  MergeScratch scratch_;
  LongScratch long_scratch_;
  std::string normalized_;
  std::string prefixed_;
};

}  // namespace phalanx
