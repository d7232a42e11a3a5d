// Byte-pair merging of one piece: always the pair of least rank, the leftmost of equal ones.
// Local; BpeMerger is free to share between calls of add(), MergeScratch belongs to one thread.
// Time O(n log n) for a piece of n symbols, whatever the merges: a scan over an array for short
// pieces, a heap over a linked list for long ones. Memory about 32 bytes a symbol of the longest
// piece.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "data/tokenizer/flat_pair_map.h"

namespace phalanx {

inline constexpr uint32_t kNoRank = 0xFFFFFFFF;

struct Merge {
  int32_t left;
  int32_t right;
  int32_t result;
  uint32_t rank;  // lower goes first; < kNoRank
};

struct MergeScratch {
  std::vector<uint32_t> rank;  // of the pair that starts at a symbol
  std::vector<uint32_t> next;
  std::vector<uint32_t> previous;
  std::vector<uint64_t> heap;  // rank << 32 | symbol
  uint64_t num_steps = 0;      // pairs looked at and heap entries taken: the work, for tests
};

class BpeMerger {
 public:
  // Of two merges of one pair the first counts. `expected`: how many there will be in the end.
  explicit BpeMerger(const std::vector<Merge>& merges, size_t expected = 0);
  void add(const Merge& merge);

  static constexpr size_t kShortPiece = 48;  // symbols; above it a heap beats the quadratic scan

  // Tells which token each byte is, so that pairs of bytes, of which all pieces consist at first,
  // are looked up by their values. 256 ids; after the last add().
  void index_bytes(const std::vector<int32_t>& byte_ids);

  // Appends what the merges make of the bytes of `piece`; after index_bytes(). Fewer than 2^32-1
  // bytes.
  void merge_bytes(std::string_view piece, std::vector<int32_t>& ids, MergeScratch& scratch) const;

  // Replaces the tokens in ids[begin..] by what the merges make of them. Fewer than 2^32-1 ids.
  void merge(std::vector<int32_t>& ids, size_t begin, MergeScratch& scratch) const;

 private:
  struct Target {
    uint32_t rank = kNoRank;
    int32_t result = -1;
  };

  Target target_of(int32_t left, int32_t right) const;
  uint64_t bit_of(int32_t left, int32_t right) const;
  uint32_t rank_of(int32_t left, int32_t right) const;
  // Symbols with the pair that starts at each.
  struct ShortPiece {
    size_t size = 0;
    int32_t symbols[kShortPiece];
    Target pairs[kShortPiece];
  };
  // Leaves the symbols that the merges make; size at least 1.
  void merge_short(ShortPiece& piece, MergeScratch& scratch) const;
  void merge_long(std::vector<int32_t>& ids, size_t begin, MergeScratch& scratch) const;
  void link(const int32_t* ids, uint32_t size, MergeScratch& scratch) const;
  void rank_pair(const int32_t* ids, uint32_t at, MergeScratch& scratch) const;

  FlatPairMap<Target> targets_;
  // Most pairs that are asked for do not merge. One bit in sixteen a merge says so for nearly all
  // of them, from memory that stays close to the processor.
  std::vector<uint64_t> may_merge_;
  int bit_shift_ = 0;
  std::vector<int32_t> byte_ids_;
  std::vector<Target> byte_pairs_;  // by the two bytes
};

}  // namespace phalanx
