// Tokenizer -> tokenizer.json.
#include <nlohmann/json.hpp>

#include "data/tokenizer/byte_alphabet.h"
#include "data/tokenizer/tokenizer_file.h"

namespace phalanx {
namespace {

// Keeps the order of the fields as written here, which is the order of files made by `tokenizers`.
using json = nlohmann::ordered_json;

json byte_level(bool add_prefix_space, bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", add_prefix_space},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

json split(SplitPattern pattern) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", split_pattern_regex(pattern)}}},
          {"behavior", "Isolated"},
          {"invert", false}};
}

json pre_tokenizer(const TokenizerParts& parts) {
  // ByteLevel alone is the one way to say that a space comes in front.
  if (parts.pattern == SplitPattern::kGpt2) return byte_level(parts.prefix_space, true);
  return {{"type", "Sequence"},
          {"pretokenizers", json::array({split(parts.pattern), byte_level(false, false)})}};
}

json added_tokens(const TokenizerParts& parts) {
  json added = json::array();
  for (const SpecialToken& special : parts.specials) {
    added.push_back({{"id", special.id},
                     {"content", special.content},
                     {"single_word", false},
                     {"lstrip", special.strip_left},
                     {"rstrip", special.strip_right},
                     {"normalized", special.normalized},
                     {"special", !special.in_any_text}});
  }
  return added;
}

// A JSON object by hand: ordered_json looks every key up among all before it. Specials are repeated
// in the vocabulary, as `tokenizers` itself does; otherwise it would number them anew behind a gap.
std::string vocabulary(const TokenizerParts& parts, const ByteAlphabet& alphabet) {
  std::vector<bool> special(parts.tokens.size(), false);
  for (const SpecialToken& token : parts.specials) special[static_cast<size_t>(token.id)] = true;
  std::string text = "{";
  for (size_t id = 0; id < parts.tokens.size(); ++id) {
    const std::string& token = parts.tokens[id];
    if (token.empty()) continue;
    if (text.size() > 1) text += ",";
    text += "\n      " + json(special[id] ? token : alphabet.to_text(token)).dump() + ": " +
            std::to_string(id);
  }
  return text + "\n    }";
}

std::string merge_list(const TokenizerParts& parts, const ByteAlphabet& alphabet) {
  std::string text = "[";
  for (const Merge& merge : parts.merges) {
    if (text.size() > 1) text += ",";
    const std::string left = alphabet.to_text(parts.tokens[static_cast<size_t>(merge.left)]);
    const std::string right = alphabet.to_text(parts.tokens[static_cast<size_t>(merge.right)]);
    text += "\n      " + json(left + " " + right).dump();
  }
  return text + "\n    ]";
}

}  // namespace

std::string tokenizer_json(const Tokenizer& tokenizer) {
  const TokenizerParts& parts = tokenizer.parts();
  const ByteAlphabet alphabet;
  const json head = {{"version", "1.0"},
                     {"truncation", nullptr},
                     {"padding", nullptr},
                     {"added_tokens", added_tokens(parts)},
                     {"normalizer", parts.nfc ? json{{"type", "NFC"}} : json(nullptr)},
                     {"pre_tokenizer", pre_tokenizer(parts)},
                     {"post_processor", byte_level(true, false)},
                     {"decoder", byte_level(true, true)}};
  std::string text = head.dump(2);
  text.resize(text.size() - 2);  // the closing "\n}"
  text +=
      ",\n  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": "
      "null,\n"
      "    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n"
      "    \"fuse_unk\": false,\n    \"byte_fallback\": false,\n    \"ignore_merges\": ";
  text += parts.whole_pieces_first ? "true" : "false";
  text += ",\n    \"vocab\": " + vocabulary(parts, alphabet);
  text += ",\n    \"merges\": " + merge_list(parts, alphabet) + "\n  }\n}\n";
  return text;
}

}  // namespace phalanx
