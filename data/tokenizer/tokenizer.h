// A byte-level BPE tokenizer: vocabulary, merges, special tokens. Local; immutable, free to share
// between threads. Any bytes can be encoded, and decode gives the same bytes back, but for what a
// file's normalizer changes and the space that a file may ask for in front. Ordinary text never
// yields a special token: "<|endoftext|>" in a document is text unless the caller asks otherwise.
// Added tokens that a file calls not special are found in any text. Files: tokenizer_file.h.
// Training: bpe_trainer.h. Many texts: Encoder (encoder.h), which adds a cache.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/bpe_merger.h"
#include "data/tokenizer/long_merger.h"
#include "data/tokenizer/nfc.h"
#include "data/tokenizer/pretokenizer.h"
#include "data/tokenizer/token_index.h"

namespace phalanx {

inline constexpr std::string_view kEndOfDocument = "<|endoftext|>";
// Ids from files are bounded before anything is allocated by id.
inline constexpr int64_t kMaxTokenId = (int64_t{1} << 21) - 1;

struct SpecialToken {
  std::string content;
  int32_t id = 0;
  bool strip_left = false;   // where specials are recognised, takes the white space before it along
  bool strip_right = false;  // and behind it
  bool in_any_text = false;  // recognised whether asked for or not: added, but not special
  bool normalized = false;   // sought after the text is normalized
};

struct TokenizerParts {
  SplitPattern pattern = SplitPattern::kCl100k;
  bool nfc = false;                 // texts are normalized first (nfc.h)
  bool prefix_space = false;        // a text begins with a space, its own or one put there
  bool whole_pieces_first = false;  // a piece that is a token is it, whatever the merges say
  bool of_ranks = false;            // of a rank file, whose merges follow from the tokens
  std::vector<std::string> tokens;  // bytes by id, specials included; empty: no token has this id
  std::vector<Merge> merges;
  std::vector<SpecialToken> specials;
};

struct EncodeOptions {
  bool recognise_specials = false;
  bool keep_space = false;  // beside specials, also of those that would take it along
};

class Tokenizer {
 public:
  // Throws std::invalid_argument, led by `origin` (a file name), where the parts do not fit
  // together.
  explicit Tokenizer(TokenizerParts parts, std::string_view origin = "tokenizer");
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  std::vector<int32_t> encode(std::string_view text, EncodeOptions options = {}) const;

  // The bytes of the tokens, special ones included. Throws std::invalid_argument for an id without
  // one.
  std::string decode(std::span<const int32_t> ids) const;

  // One more than the greatest id: what an embedding must have rows for.
  int64_t vocab_size() const { return static_cast<int64_t>(parts_.tokens.size()); }

  // Throws std::invalid_argument where the tokenizer has no <|endoftext|>.
  int32_t end_of_document() const;
  std::optional<int32_t> special_id(std::string_view content) const;

  // XXH3-64, 16 hex digits, of pattern, tokens, merges and specials: equal exactly for tokenizers
  // that encode and decode alike, whatever file they came from.
  const std::string& fingerprint() const { return fingerprint_; }

  // Whether ids that a tokenizer with this fingerprint made are this one's: it is its own, or the
  // one that versions before 2026-11-27 gave the same rank file, of which they listed all merges,
  // those too that never happen.
  bool made(std::string_view fingerprint) const;

  const TokenizerParts& parts() const { return parts_; }

  // What merges long pieces in linear time; null where the merges do not allow it. Made when first
  // asked for, by one of the threads that ask.
  const LongMerger* long_merger() const;

 private:
  friend class Encoder;

  void find_byte_tokens(std::string_view origin);
  void index_whole_pieces();
  const Nfc* nfc() const { return nfc_ ? &*nfc_ : nullptr; }

  TokenizerParts parts_;
  PreTokenizer pretokenizer_;
  BpeMerger merger_;
  std::optional<Nfc> nfc_;
  std::vector<int32_t> byte_ids_;  // 256: the token of each byte
  TokenIndex whole_pieces_;  // tokens that their own bytes encode to: the short cut of Encoder
  std::string fingerprint_;
  mutable std::once_flag long_merger_made_;
  mutable std::unique_ptr<const LongMerger> long_merger_;
};

}  // namespace phalanx
