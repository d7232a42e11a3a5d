// Small tokenizers and texts that several tests use.
#pragma once

#include <string>
#include <vector>

#include "data/tokenizer/byte_alphabet.h"
#include "data/tokenizer/tokenizer.h"

namespace phalanx::testing {

// The 256 bytes (ids in the order of their stand-ins), then "ab", "abab", "aa", "aaaa", " ab", and
// two specials behind a gap of one id: 262 <|endoftext|>, 263 <|pad|>.
inline TokenizerParts sample_parts() {
  TokenizerParts parts;
  for (const char byte : ByteAlphabet().bytes_in_order()) parts.tokens.emplace_back(1, byte);
  const int32_t a = 'a' - '!';
  const int32_t b = 'b' - '!';
  const int32_t space = 188 + ' ';  // 32 control bytes and the space have no stand-in of their own
  const auto merge = [&parts](int32_t left, int32_t right) {
    const auto result = static_cast<int32_t>(parts.tokens.size());
    parts.tokens.push_back(parts.tokens[static_cast<size_t>(left)] +
                           parts.tokens[static_cast<size_t>(right)]);
    parts.merges.push_back({left, right, result, static_cast<uint32_t>(parts.merges.size())});
  };
  merge(a, b);                  // 256
  merge(256, 256);              // 257
  merge(a, a);                  // 258
  merge(258, 258);              // 259
  merge(space, 256);            // 260
  parts.tokens.emplace_back();  // 261: no token
  parts.tokens.emplace_back("<|endoftext|>");
  parts.tokens.emplace_back("<|pad|>");
  parts.specials = {{"<|endoftext|>", 262}, {"<|pad|>", 263}};
  return parts;
}

// Texts that break encoders: white space at every border, apostrophes, digits, bytes that are no
// UTF-8.
inline std::vector<std::string> hostile_texts() {
  return {"",
          " ",
          "\n  ",
          "a  b\r\n\r\n   c \n",
          "it's IT'S I'LL 're 'x '\xC5\xBF' ''s",
          "1234567 1.5e10 \xD9\xA3\xD9\xA4",
          "e\xCC\x81 \xE2\x80\xA8 \xE3\x80\x80x \xC2\xA0y",
          std::string("\0a\0\0b", 5),
          "\xFF\xFE\x80\x80 abc\xC3",
          "\xE4\xB8",
          "\xC0\xAF overlong \xE0\x80\xAF \xF0\x80\x80\xAF",
          "\xED\xA0\x80 surrogate \xF4\x90\x80\x80 beyond",
          "\xF0\x9F\x98\x80\xF0\x9F\x98",
          "<|endoftext|> <|pad|>",
          "ab abab aab aaaaaa"};
}

}  // namespace phalanx::testing
