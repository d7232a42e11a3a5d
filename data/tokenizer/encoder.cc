#include "data/tokenizer/encoder.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>

namespace phalanx {

Encoder::Encoder(const Tokenizer& tokenizer, EncodeOptions options, size_t cache_slots)
    : tokenizer_(tokenizer),
      options_(options),
      unicode_(tokenizer.pretokenizer_.unicode()),
      cache_(cache_slots) {
  for (const SpecialToken& special : tokenizer.parts().specials) specials_.push_back(&special);
  std::stable_sort(specials_.begin(), specials_.end(),
                   [](const SpecialToken* a, const SpecialToken* b) {
                     return a->content.size() > b->content.size();
                   });
}

void Encoder::encode(std::string_view text, std::vector<int32_t>& ids) {
  if (options_.recognise_specials) {
    encode_with_specials(text, ids);
  } else {
    encode_ordinary(text, ids);
  }
}

// The text between two specials is cut as if it were a document of its own.
void Encoder::encode_with_specials(std::string_view text, std::vector<int32_t>& ids) {
  size_t begin = 0;
  size_t search_begin = 0;
  while (true) {
    SpecialMatch match = find_special(text, search_begin);
    if (match.token == nullptr) break;
    // Matches are sought in the text as it was, before white space was taken along.
    search_begin = match.end;
    if (match.token->strip_left && match.begin > begin) {
      match.begin = trailing_space_begin(text, begin, match.begin);
    }
    if (match.token->strip_right) match.end = leading_space_end(text, match.end);
    if (match.begin > begin) encode_ordinary(text.substr(begin, match.begin - begin), ids);
    ids.push_back(match.token->id);
    begin = match.end;
  }
  if (begin < text.size()) encode_ordinary(text.substr(begin), ids);
}

void Encoder::encode_ordinary(std::string_view text, std::vector<int32_t>& ids) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = tokenizer_.pretokenizer_.piece_end(text, begin);
    encode_piece(text.substr(begin, end - begin), ids);
    begin = end;
  }
}

void Encoder::encode_piece(std::string_view piece, std::vector<int32_t>& ids) {
  const int32_t whole = tokenizer_.whole_pieces_.find(piece);
  if (whole != -1) {
    ids.push_back(whole);
    return;
  }
  if (cache_.empty() || piece.size() > kCachedBytes) {
    merge_piece(piece, ids);
    return;
  }
  CachedPiece& cached = cache_[XXH3_64bits(piece.data(), piece.size()) & (cache_.size() - 1)];
  if (std::string_view(cached.piece.data(), cached.piece_size) == piece) {
    ids.insert(ids.end(), cached.ids.begin(), cached.ids.begin() + cached.num_ids);
    return;
  }
  const size_t begin = ids.size();
  merge_piece(piece, ids);
  const size_t num_ids = ids.size() - begin;
  if (num_ids > kCachedIds) return;
  cached.piece_size = static_cast<uint8_t>(piece.size());
  cached.num_ids = static_cast<uint8_t>(num_ids);
  std::memcpy(cached.piece.data(), piece.data(), piece.size());
  std::copy(ids.begin() + static_cast<ptrdiff_t>(begin), ids.end(), cached.ids.begin());
}

void Encoder::merge_piece(std::string_view piece, std::vector<int32_t>& ids) {
  const size_t begin = ids.size();
  for (const char byte : piece)
    ids.push_back(tokenizer_.byte_ids_[static_cast<unsigned char>(byte)]);
  tokenizer_.merger_.merge(ids, begin, scratch_);
}

// The leftmost special token from `begin` on, the longest of several that start there.
Encoder::SpecialMatch Encoder::find_special(std::string_view text, size_t begin) const {
  for (size_t at = begin; at < text.size(); ++at) {
    for (const SpecialToken* special : specials_) {
      if (text[at] == special->content[0] && text.substr(at).starts_with(special->content)) {
        return {at, at + special->content.size(), special};
      }
    }
  }
  return {text.size(), text.size(), nullptr};
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
