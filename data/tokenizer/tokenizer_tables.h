// The tables of a tokenizer.json: added tokens by id, model.vocab and model.merges, the latter two
// as simdjson's values, since they are nearly all of a file. Local. Errors: std::invalid_argument
// with file and place, as of tokenizer_fields.h.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/byte_alphabet.h"
#include "data/tokenizer/token_index.h"
#include "data/tokenizer/tokenizer.h"
#include "data/tokenizer/tokenizer_fields.h"

namespace phalanx {

class TokenizerTables {
 public:
  // Fills parts.tokens and parts.merges; `origin`: the file's name. Both must outlive the object.
  TokenizerTables(const std::string& origin, TokenizerParts& parts)
      : origin_(origin), fields_(origin), parts_(parts) {}

  // In this order, as the vocabulary may repeat added tokens and merges are of its tokens. `place`:
  // where the file has the token.
  void add_special(const SpecialToken& special, const std::string& place);
  void read_vocabulary(const simdjson::dom::element& value);
  void read_merges(const simdjson::dom::element& value);

 private:
  void read_token(std::string_view text, const simdjson::dom::element& value);
  Merge read_merge(const simdjson::dom::element& merge, const TokenIndex& index,
                   size_t number) const;
  // False where another token has the id.
  bool place_token(int32_t id, std::string bytes);

  const std::string& origin_;
  TokenizerFields fields_;
  ByteAlphabet alphabet_;
  TokenizerParts& parts_;
  std::vector<int32_t> ordinary_;                            // ids of tokens that are not special
  std::map<std::string, int32_t, std::less<>> special_ids_;  // by content
};

}  // namespace phalanx
