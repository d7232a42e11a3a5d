// Byte-pair encoding of long pieces in linear time. Local; LongMerger is immutable and free to
// share, LongScratch belongs to one thread.
// Takes the longest token that fits, and steps back to a shorter one, or to the token before, where
// two neighbours could not stand side by side: a sequence of tokens is what the merges make of a
// text exactly if each two neighbours are what they make of the two tokens' bytes. No place is
// entered twice with the same outcome, so the work is at most the text's bytes times the prefixes
// of a token that are tokens. Source: the backtracking encoder of GitHub's rust-gems, crate `bpe`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/bpe_merger.h"

namespace phalanx {

struct LongScratch {
  std::vector<bool> dead;       // places from which the rest of the text has no encoding
  std::vector<int32_t> taken;   // tokens so far, by order of their making
  std::vector<uint64_t> pairs;  // recent neighbours with the answer: pair << 1 | fits
  uint64_t num_steps = 0;       // tokens tried: the work, for tests
};

class LongMerger {
 public:
  // True where the merges allow it: each token has one merge, of tokens that were made before, no
  // two merges have the same rank, and the tokens are 8 MiB at most. Merges in the order of ranks.
  static bool can_take(const std::vector<Merge>& merges, const std::vector<int32_t>& byte_ids,
                       const std::vector<std::string>& tokens);

  // `tokens` by id; byte_ids: the token of each byte.
  LongMerger(const std::vector<Merge>& merges, const std::vector<int32_t>& byte_ids,
             const std::vector<std::string>& tokens);

  // Appends the ids of one piece.
  void encode(std::string_view piece, std::vector<int32_t>& ids, LongScratch& scratch) const;

 private:
  // Tokens by the order of their making: 0..255 bytes by value, then merges by rank.
  struct Token {
    int32_t left = -1;  // the two it is made of; -1 for bytes
    int32_t right = -1;
    int32_t id = -1;
    uint32_t size = 0;     // bytes
    int32_t shorter = -1;  // the longest token that begins it
  };

  bool fits(int32_t left, int32_t right, int32_t limit) const;
  bool fits_cached(int32_t left, int32_t right, LongScratch& scratch) const;
  void add_to_trie(const std::string& bytes, int32_t token);
  int32_t shorter_of(std::string_view bytes) const;
  int32_t longest_at(std::string_view piece, size_t begin) const;

  std::vector<Token> tokens_;
  FlatPairMap<int32_t> pairs_;     // the token that two make
  FlatPairMap<int32_t> children_;  // trie of the tokens: (node, byte) to node
  std::vector<int32_t> ends_;      // the token that ends at a node, or -1
};

}  // namespace phalanx
