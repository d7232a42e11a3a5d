#include "data/tokenizer/encoder.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>

namespace phalanx {
namespace {

// The tokens to look for: none where no text may hold one. Those that are only text here are looked
// for among others all the same, because they may cover one of the others.
SpecialFinder finder_of(const TokenizerParts& parts, const EncodeOptions& options,
                        bool normalized) {
  std::vector<SpecialFinder::Sought> tokens;
  bool any = options.recognise_specials;
  for (const SpecialToken& special : parts.specials) {
    any = any || special.in_any_text;
    if (special.normalized != normalized) continue;
    std::string text;
    const bool changed = normalized && parts.nfc && Nfc().apply(special.content, text);
    tokens.push_back({changed ? text : special.content, &special});
  }
  return any ? SpecialFinder(std::move(tokens)) : SpecialFinder();
}

}  // namespace

Encoder::Encoder(const Tokenizer& tokenizer, EncodeOptions options, size_t cache_slots)
    : tokenizer_(tokenizer),
      options_(options),
      unicode_(tokenizer.pretokenizer_.unicode()),
      raw_specials_(finder_of(tokenizer.parts(), options, false)),
      normalized_specials_(finder_of(tokenizer.parts(), options, true)),
      cache_(cache_slots),
      long_cache_(cache_slots / 4) {}

void Encoder::encode(std::string_view text, std::vector<int32_t>& ids) {
  split_at_specials(text, raw_specials_, ids,
                    [&](std::string_view rest) { encode_raw(rest, ids); });
}

// The text between two specials is cut as if it were a document of its own.
template <typename Rest>
void Encoder::split_at_specials(std::string_view text, const SpecialFinder& finder,
                                std::vector<int32_t>& ids, const Rest& rest) const {
  size_t begin = 0;
  size_t search_begin = 0;
  while (!finder.empty()) {
    SpecialMatch match = finder.find(text, search_begin);
    if (match.token == nullptr) break;
    // Matches are sought in the text as it was, before white space was taken along.
    search_begin = match.end;
    if (!options_.recognise_specials && !match.token->in_any_text) continue;
    if (!options_.keep_space && match.token->strip_left && match.begin > begin) {
      match.begin = trailing_space_begin(text, begin, match.begin);
    }
    if (!options_.keep_space && match.token->strip_right) {
      match.end = leading_space_end(text, match.end);
    }
    if (match.begin > begin) rest(text.substr(begin, match.begin - begin));
    ids.push_back(match.token->id);
    begin = match.end;
  }
  if (begin < text.size()) rest(text.substr(begin));
}

void Encoder::encode_raw(std::string_view text, std::vector<int32_t>& ids) {
  const Nfc* nfc = tokenizer_.nfc();
  const bool changed = nfc != nullptr && nfc->apply(text, normalized_);
  encode_normalized(changed ? std::string_view(normalized_) : text, ids);
}

void Encoder::encode_normalized(std::string_view text, std::vector<int32_t>& ids) {
  split_at_specials(text, normalized_specials_, ids, [&](std::string_view rest) {
    if (tokenizer_.parts().prefix_space && rest[0] != ' ') {
      prefixed_.assign(1, ' ').append(rest);
      rest = prefixed_;
    }
    encode_ordinary(rest, ids);
  });
}

void Encoder::encode_ordinary(std::string_view text, std::vector<int32_t>& ids) {
  tokenizer_.pretokenizer_.with_cutter(text, [&](const auto& cutter) {
    Batch batch;
    for (size_t at = 0; at < text.size();) {
      at = cut_batch(cutter, text, at, batch);
      prefetch_tokens(batch);
      encode_batch(text, batch, ids);
    }
  });
}

// Returns where the batch ends.
template <typename Cutter>
size_t Encoder::cut_batch(const Cutter& cutter, std::string_view text, size_t begin,
                          Batch& batch) const {
  std::array<size_t, kBatch> ends;
  batch.begin = begin;
  batch.size = cutter.ends_from(begin, ends);
  for (size_t i = 0; i < batch.size; ++i) {
    const PieceKey key = PieceKey::of(text, begin, ends[i]);
    const size_t place = cache_.place_of(key);
    cache_.prefetch(place);
    batch.entries[i] = {key, ends[i], place};
    begin = ends[i];
  }
  return begin;
}

void Encoder::prefetch_tokens(const Batch& batch) const {
  for (size_t i = 0; i < batch.size; ++i) {
    const auto& entry = batch.entries[i];
    if (cache_.find(entry.place, entry.key) == nullptr) {
      tokenizer_.whole_pieces_.prefetch(entry.key);
    }
  }
}

void Encoder::encode_batch(std::string_view text, const Batch& batch, std::vector<int32_t>& ids) {
  std::array<int32_t, (kBatch + 1) * PieceCache::kMaxIds> made;
  size_t num_made = 0;
  const auto flush = [&] {
    ids.insert(ids.end(), made.begin(), made.begin() + static_cast<ptrdiff_t>(num_made));
    num_made = 0;
  };
  size_t begin = batch.begin;
  for (size_t i = 0; i < batch.size; ++i) {
    const auto& [key, end, place] = batch.entries[i];
    if (const PieceCache::Slot* slot = cache_.find(place, key)) {
      num_made += slot->copy_ids(made.data() + num_made);
    } else {
      flush();
      const size_t before = ids.size();
      encode_piece(text.substr(begin, end - begin), key, ids);
      cache_.keep(place, key, ids.data() + before, ids.size() - before);
    }
    begin = end;
  }
  flush();
}

void Encoder::encode_piece(std::string_view piece, const PieceKey& key, std::vector<int32_t>& ids) {
  const int32_t whole = tokenizer_.whole_pieces_.find(piece, key);
  if (whole != -1) {
    ids.push_back(whole);
    return;
  }
  if (long_cache_.empty() || piece.size() > kLongBytes) {
    merge_piece(piece, ids);
    return;
  }
  LongPiece& kept = long_cache_[XXH3_64bits(piece.data(), piece.size()) & (long_cache_.size() - 1)];
  if (std::string_view(kept.piece.data(), kept.piece_size) == piece) {
    ids.insert(ids.end(), kept.ids.begin(), kept.ids.begin() + kept.num_ids);
    return;
  }
  const size_t begin = ids.size();
  merge_piece(piece, ids);
  const size_t num_ids = ids.size() - begin;
  if (num_ids > kLongIds ||
      (num_ids <= PieceCache::kMaxIds && piece.size() <= PieceKey::kMaxBytes)) {
    return;
  }
  kept.piece_size = static_cast<uint8_t>(piece.size());
  kept.num_ids = static_cast<uint8_t>(num_ids);
  std::memcpy(kept.piece.data(), piece.data(), piece.size());
  std::copy(ids.begin() + static_cast<ptrdiff_t>(begin), ids.end(), kept.ids.begin());
}

void Encoder::merge_piece(std::string_view piece, std::vector<int32_t>& ids) {
  if (piece.size() > BpeMerger::kShortPiece) {
    if (const LongMerger* merger = tokenizer_.long_merger()) {
      merger->encode(piece, ids, long_scratch_);
      return;
    }
  }
  tokenizer_.merger_.merge_bytes(piece, ids, scratch_);
}

size_t Encoder::trailing_space_begin(std::string_view text, size_t begin, size_t end) const {
  const std::string_view segment = text.substr(0, end);
  size_t space_begin = end;
  for (size_t at = begin; at < end;) {
    const Symbol symbol = unicode_.symbol_at(segment, at);
    if (symbol.kind != UnicodeClass::kSpace) {
      space_begin = end;
    } else if (space_begin == end) {
      space_begin = at;
    }
    at += symbol.size;
  }
  return space_begin;
}

size_t Encoder::leading_space_end(std::string_view text, size_t begin) const {
  size_t end = begin;
  while (end < text.size()) {
    const Symbol symbol = unicode_.symbol_at(text, end);
    if (symbol.kind != UnicodeClass::kSpace) break;
    end += symbol.size;
  }
  return end;
}

}  // namespace phalanx
