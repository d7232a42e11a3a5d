#include "data/tokenizer/tokenizer.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "data/tokenizer/encoder.h"
#include "data/tokenizer/rank_merges.h"

namespace phalanx {
namespace {

std::vector<bool> special_ids(const TokenizerParts& parts) {
  std::vector<bool> special(parts.tokens.size(), false);
  for (const SpecialToken& token : parts.specials) special[static_cast<size_t>(token.id)] = true;
  return special;
}

void append(std::string& bytes, uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(value >> shift);
}

void append(std::string& bytes, std::string_view text) {
  append(bytes, uint64_t{text.size()});
  bytes += text;
}

// The order of the merges counts, their rank numbers do not: files number them differently.
std::string fingerprint_of(const TokenizerParts& parts) {
  std::string bytes;
  append(bytes, split_pattern_name(parts.pattern));
  append(bytes, uint64_t{parts.whole_pieces_first});
  append(bytes, uint64_t{parts.tokens.size()});
  for (const std::string& token : parts.tokens) append(bytes, std::string_view(token));
  append(bytes, uint64_t{parts.merges.size()});
  for (const Merge& merge : parts.merges) {
    append(bytes, static_cast<uint64_t>(merge.left));
    append(bytes, static_cast<uint64_t>(merge.right));
    append(bytes, static_cast<uint64_t>(merge.result));
  }
  for (const SpecialToken& token : parts.specials) {
    append(bytes, static_cast<uint64_t>(token.id));
    append(bytes, std::string_view(token.content));
    append(bytes, uint64_t{token.strip_left} | uint64_t{token.strip_right} << 1 |
                      uint64_t{token.in_any_text} << 2 | uint64_t{token.normalized} << 3);
  }
  // Nothing where there is nothing, as before there could be.
  if (parts.nfc) append(bytes, std::string_view("nfc"));
  if (parts.prefix_space) append(bytes, std::string_view("prefix space"));
  return fmt::format("{:016x}", XXH3_64bits(bytes.data(), bytes.size()));
}

TokenizerParts in_order(TokenizerParts parts) {
  std::stable_sort(parts.merges.begin(), parts.merges.end(), [](const Merge& a, const Merge& b) {
    return std::tie(a.rank, a.left, a.right) < std::tie(b.rank, b.left, b.right);
  });
  std::sort(parts.specials.begin(), parts.specials.end(),
            [](const SpecialToken& a, const SpecialToken& b) { return a.id < b.id; });
  return parts;
}

TokenizerParts checked(TokenizerParts parts, std::string_view origin) {
  const auto& tokens = parts.tokens;
  const auto known = [&tokens](int32_t id) {
    return id >= 0 && static_cast<size_t>(id) < tokens.size() &&
           !tokens[static_cast<size_t>(id)].empty();
  };
  for (const SpecialToken& special : parts.specials) {
    if (special.content.empty() || !known(special.id) ||
        tokens[static_cast<size_t>(special.id)] != special.content) {
      throw std::invalid_argument(
          fmt::format("{}: special token \"{}\": its id {} names another token", origin,
                      special.content, special.id));
    }
  }
  for (const Merge& merge : parts.merges) {
    if (!known(merge.left) || !known(merge.right) || !known(merge.result)) {
      throw std::invalid_argument(
          fmt::format("{}: merge of ids {} and {} into {}: expected three ids of tokens", origin,
                      merge.left, merge.right, merge.result));
    }
    if (tokens[static_cast<size_t>(merge.left)] + tokens[static_cast<size_t>(merge.right)] !=
        tokens[static_cast<size_t>(merge.result)]) {
      throw std::invalid_argument(fmt::format(
          "{}: merge of ids {} and {} into {}: expected the bytes of both, found others", origin,
          merge.left, merge.right, merge.result));
    }
  }
  return parts;
}

}  // namespace

Tokenizer::Tokenizer(TokenizerParts parts, std::string_view origin)
    : parts_(checked(in_order(std::move(parts)), origin)),
      pretokenizer_(parts_.pattern),
      merger_(parts_.merges) {
  if (parts_.nfc) nfc_.emplace();
  find_byte_tokens(origin);
  merger_.index_bytes(byte_ids_);
  index_whole_pieces();
  fingerprint_ = fingerprint_of(parts_);
}

bool Tokenizer::made(std::string_view fingerprint) const {
  if (fingerprint == fingerprint_) return true;
  if (!parts_.of_ranks) return false;
  std::vector<std::string> ranks = parts_.tokens;
  for (const SpecialToken& special : parts_.specials)
    ranks[static_cast<size_t>(special.id)].clear();
  TokenizerParts parts = parts_;
  parts.merges = all_rank_merges(ranks);
  return fingerprint == fingerprint_of(in_order(std::move(parts)));
}

void Tokenizer::find_byte_tokens(std::string_view origin) {
  byte_ids_.assign(256, -1);
  const std::vector<bool> special = special_ids(parts_);
  for (size_t id = 0; id < parts_.tokens.size(); ++id) {
    const std::string& token = parts_.tokens[id];
    if (token.size() != 1 || special[id]) continue;
    int32_t& byte_id = byte_ids_[static_cast<unsigned char>(token[0])];
    if (byte_id == -1) byte_id = static_cast<int32_t>(id);
  }
  const auto missing = std::find(byte_ids_.begin(), byte_ids_.end(), -1);
  if (missing != byte_ids_.end()) {
    throw std::invalid_argument(fmt::format(
        "{}: vocabulary: expected a token for each of the 256 bytes, found none for 0x{:02X}",
        origin, missing - byte_ids_.begin()));
  }
}

void Tokenizer::index_whole_pieces() {
  const std::vector<bool> special = special_ids(parts_);
  std::vector<int32_t> whole;
  std::vector<int32_t> ids;
  MergeScratch scratch;
  for (size_t id = 0; id < parts_.tokens.size(); ++id) {
    const std::string& token = parts_.tokens[id];
    if (token.empty() || special[id]) continue;
    if (!parts_.whole_pieces_first) {
      ids.clear();
      merger_.merge_bytes(token, ids, scratch);
      if (ids.size() != 1 || ids[0] != static_cast<int32_t>(id)) continue;
    }
    whole.push_back(static_cast<int32_t>(id));
  }
  whole_pieces_ = TokenIndex(parts_.tokens, whole);
}

const LongMerger* Tokenizer::long_merger() const {
  std::call_once(long_merger_made_, [this] {
    if (LongMerger::can_take(parts_.merges, byte_ids_, parts_.tokens)) {
      long_merger_ = std::make_unique<const LongMerger>(parts_.merges, byte_ids_, parts_.tokens);
    }
  });
  return long_merger_.get();
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  // Below this size filling a cache costs more than it saves.
  constexpr size_t kCachedText = size_t{1} << 18;
  Encoder encoder(*this, options, text.size() < kCachedText ? 0 : kEncoderCacheSlots);
  std::vector<int32_t> ids;
  encoder.encode(text, ids);
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string bytes;
  for (size_t i = 0; i < ids.size(); ++i) {
    const int64_t id = ids[i];
    if (id < 0 || id >= vocab_size() || parts_.tokens[static_cast<size_t>(id)].empty()) {
      throw std::invalid_argument(fmt::format(
          "ids to decode: place {}: id {} names no token (vocabulary of {})", i, id, vocab_size()));
    }
    bytes += parts_.tokens[static_cast<size_t>(id)];
  }
  return bytes;
}

int32_t Tokenizer::end_of_document() const {
  const std::optional<int32_t> id = special_id(kEndOfDocument);
  if (!id) {
    throw std::invalid_argument(
        fmt::format("tokenizer {}: has no special token {}", fingerprint_, kEndOfDocument));
  }
  return *id;
}

std::optional<int32_t> Tokenizer::special_id(std::string_view content) const {
  for (const SpecialToken& special : parts_.specials) {
    if (special.content == content) return special.id;
  }
  return std::nullopt;
}

}  // namespace phalanx
