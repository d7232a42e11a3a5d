// tokenizer.json -> TokenizerParts. The vocabulary and the merges, nearly all of a file, are read
// with simdjson; the rest as nlohmann's values, which can be compared and shown.
#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <utility>

#include "data/strict_json.h"
#include "data/tokenizer/byte_alphabet.h"
#include "data/tokenizer/token_index.h"
#include "data/tokenizer/tokenizer_fields.h"
#include "data/tokenizer/tokenizer_file.h"

namespace phalanx {
namespace {

using nlohmann::json;
using Value = simdjson::dom::element;

constexpr int kMaxDepth = 16;  // no tokenizer.json is as deep
std::string shown(const json& value) { return TokenizerFields::shown(value); }
std::string shown(const Value& value) { return shown(json::parse(simdjson::minify(value))); }
std::string shown_text(std::string_view text) { return shown(json(text)); }

class JsonReader {
 public:
  explicit JsonReader(const std::string& origin) : origin_(origin), fields_(origin) {}

  TokenizerParts read(const std::string& text);

 private:
  json read_root(const std::string& text);
  json read_fields(const Value& value, const std::string& name);
  void read_normalizer(const json& root);
  void read_pre_tokenizer(const json& root);
  void read_split(const json& split, const std::string& place);
  void read_specials(const json& root);
  SpecialToken read_special(const json& added, const std::string& place) const;
  void check_model(const json& model) const;
  void read_vocabulary();
  void read_token(std::string_view text, const Value& value);
  void read_merges();
  Merge read_merge(const Value& merge, const TokenIndex& index, size_t number) const;
  bool place_token(int32_t id, std::string bytes);

  const std::string& origin_;
  TokenizerFields fields_;
  ByteAlphabet alphabet_;
  simdjson::dom::parser parser_;                     // owns what values refer to
  std::map<std::string, Value, std::less<>> large_;  // model.vocab and model.merges
  TokenizerParts parts_;
  std::vector<int32_t> ordinary_;                            // ids of tokens that are not special
  std::map<std::string, int32_t, std::less<>> special_ids_;  // by content
};

json JsonReader::read_root(const std::string& text) {
  Value value;
  const auto error = parser_.parse(text).get(value);
  if (error == simdjson::SUCCESS) return read_fields(value, "");
  (void)parse_strict_json(text, origin_, kMaxDepth);  // which says where and what
  throw std::invalid_argument(
      fmt::format("{}: not valid JSON: {}", origin_, simdjson::error_message(error)));
}

// The value; of the model without the two large fields, which are kept as they are.
json JsonReader::read_fields(const Value& value, const std::string& name) {
  simdjson::dom::object object;
  const bool apart = name.empty() || name == "model";
  if (!apart || value.get(object) != simdjson::SUCCESS) {
    return parse_strict_json(std::string(simdjson::minify(value)), origin_, kMaxDepth);
  }
  json fields = json::object();
  for (const auto& [key, inner] : object) {
    const std::string inner_name(key);
    const bool large = name == "model" && (key == "vocab" || key == "merges");
    json read = large ? json(nullptr) : read_fields(inner, name.empty() ? inner_name : "part");
    if (large) large_.emplace(inner_name, inner);
    if (!fields.emplace(inner_name, std::move(read)).second) {
      throw std::invalid_argument(fmt::format("{}: key {} occurs twice", origin_, key));
    }
  }
  return fields;
}

void JsonReader::read_normalizer(const json& root) {
  const auto found = root.find("normalizer");
  if (found == root.end() || found->is_null()) return;
  if (fields_.field(*found, "normalizer", "type") != "NFC") {
    fields_.fail("normalizer.type", fmt::format("expected no normalizer or \"NFC\", found {}",
                                                shown(found->at("type"))));
  }
  parts_.nfc = true;
}

void JsonReader::read_pre_tokenizer(const json& root) {
  const std::string place = "pre_tokenizer";
  const json& pre_tokenizer = fields_.field(root, "top level", "pre_tokenizer");
  const json& type = fields_.field(pre_tokenizer, place, "type");
  if (type == "ByteLevel") {  // as of GPT-2, whose pattern it knows
    parts_.pattern = SplitPattern::kGpt2;
    parts_.prefix_space = fields_.flag(pre_tokenizer, place, "add_prefix_space", true);
    if (!fields_.flag(pre_tokenizer, place, "use_regex", true)) {
      fields_.fail(place + ".use_regex", "expected true where no Split is in front, found false");
    }
    return;
  }
  if (type != "Sequence") {
    fields_.fail(place + ".type",
                 fmt::format("expected \"ByteLevel\", or \"Sequence\" of Split and "
                             "ByteLevel, found {}",
                             shown(type)));
  }
  const json& steps = fields_.field(pre_tokenizer, place, "pretokenizers");
  if (!steps.is_array() || steps.size() != 2) {
    fields_.fail(place + ".pretokenizers", "expected two steps: Split and ByteLevel");
  }
  read_split(steps[0], place + ".pretokenizers[0]");
  const std::string byte_place = place + ".pretokenizers[1]";
  fields_.expect(steps[1], byte_place, "type", "ByteLevel");
  fields_.expect(steps[1], byte_place, "add_prefix_space", false);
  fields_.expect(steps[1], byte_place, "use_regex", false);
}

void JsonReader::read_split(const json& split, const std::string& place) {
  fields_.expect(split, place, "type", "Split");
  const json& regex =
      fields_.field(fields_.field(split, place, "pattern"), place + ".pattern", "Regex");
  const auto pattern =
      regex.is_string() ? find_split_pattern(regex.get_ref<const std::string&>()) : std::nullopt;
  if (!pattern) {
    fields_.fail(place + ".pattern.Regex",
                 fmt::format("expected the expression of a known pattern ({}), found {}",
                             split_pattern_names(), regex.dump()));
  }
  parts_.pattern = *pattern;
  // The pattern covers every text, so both ways to say "cut here" are the same.
  const bool removed = fields_.field(split, place, "behavior") == "Removed";
  fields_.expect(split, place, "behavior", removed ? "Removed" : "Isolated");
  fields_.expect(split, place, "invert", removed);
}

void JsonReader::read_specials(const json& root) {
  const json& added = fields_.field(root, "top level", "added_tokens");
  if (!added.is_array())
    fields_.fail("added_tokens", fmt::format("expected an array, found {}", shown(added)));
  for (size_t i = 0; i < added.size(); ++i) {
    const std::string place = fmt::format("added_tokens[{}]", i);
    SpecialToken special = read_special(added[i], place);
    if (!special_ids_.emplace(special.content, special.id).second) {
      fields_.fail(place + ".content",
                   fmt::format("{} was added before", shown_text(special.content)));
    }
    if (!place_token(special.id, special.content)) {
      fields_.fail(place + ".id", fmt::format("id {} is taken by another token", special.id));
    }
    parts_.specials.push_back(std::move(special));
  }
  // Without a normalizer the order in which two kinds are sought matters only where there are two.
  const auto normalized = [](const SpecialToken& special) { return special.normalized; };
  if (!parts_.nfc && std::all_of(parts_.specials.begin(), parts_.specials.end(), normalized)) {
    for (SpecialToken& special : parts_.specials) special.normalized = false;
  }
}

SpecialToken JsonReader::read_special(const json& added, const std::string& place) const {
  SpecialToken special;
  special.id = fields_.read_id(fields_.field(added, place, "id"), place + ".id");
  const json& content = fields_.field(added, place, "content");
  if (!content.is_string() || content.get_ref<const std::string&>().empty()) {
    fields_.fail(place + ".content",
                 fmt::format("expected a string that is not empty, found {}", shown(content)));
  }
  special.content = content.get<std::string>();
  special.strip_left = fields_.flag(added, place, "lstrip", false);
  special.strip_right = fields_.flag(added, place, "rstrip", false);
  special.in_any_text = !fields_.flag(added, place, "special", true);
  special.normalized = fields_.flag(added, place, "normalized", false);
  fields_.expect_unset(added, place, "single_word");
  return special;
}

// A token for unknown text changes nothing where every byte has a token, which Tokenizer demands.
void JsonReader::check_model(const json& model) const {
  fields_.expect_keys(
      model, "model",
      {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
       "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"});
  if (model.contains("type")) fields_.expect(model, "model", "type", "BPE");
  for (const char* key :
       {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"}) {
    fields_.expect_unset(model, "model", key);
  }
}

void JsonReader::read_vocabulary() {
  simdjson::dom::object vocabulary;
  const Value& value = large_.at("vocab");
  if (value.get(vocabulary) != simdjson::SUCCESS) {
    fields_.fail("model.vocab", fmt::format("expected an object, found {}", shown(value)));
  }
  for (const auto& [text, id] : vocabulary) read_token(text, id);
}

void JsonReader::read_token(std::string_view text, const Value& value) {
  const auto place = [text] { return fmt::format("model.vocab[{}]", shown_text(text)); };
  uint64_t number = 0;
  if (value.get(number) != simdjson::SUCCESS || number > static_cast<uint64_t>(kMaxTokenId)) {
    fields_.fail(place(),
                 fmt::format("expected an id of 0..{}, found {}", kMaxTokenId, shown(value)));
  }
  const auto id = static_cast<int32_t>(number);
  const auto special = special_ids_.find(text);
  if (special != special_ids_.end()) {
    if (special->second == id) return;
    fields_.fail(place(),
                 fmt::format("expected id {} as in added_tokens, found {}", special->second, id));
  }
  std::optional<std::string> bytes = alphabet_.to_bytes(text);
  if (!bytes || bytes->empty()) {
    fields_.fail(place(), "expected characters of the byte-level alphabet only");
  }
  if (!place_token(id, *std::move(bytes))) {
    fields_.fail(place(), fmt::format("id {} is taken by another token", id));
  }
  ordinary_.push_back(id);
}

bool JsonReader::place_token(int32_t id, std::string bytes) {
  const auto index = static_cast<size_t>(id);
  if (index >= parts_.tokens.size()) parts_.tokens.resize(index + 1);
  if (!parts_.tokens[index].empty()) return false;
  parts_.tokens[index] = std::move(bytes);
  return true;
}

void JsonReader::read_merges() {
  const TokenIndex index(parts_.tokens, ordinary_);
  for (const int32_t id : ordinary_) {
    const std::string& token = parts_.tokens[static_cast<size_t>(id)];
    if (index.find(token) == id) continue;
    throw std::invalid_argument(
        fmt::format("{}: key {} occurs twice", origin_, alphabet_.to_text(token)));
  }
  simdjson::dom::array merges;
  const Value& value = large_.at("merges");
  if (value.get(merges) != simdjson::SUCCESS) {
    fields_.fail("model.merges", fmt::format("expected an array, found {}", shown(value)));
  }
  for (const Value& merge : merges) {
    parts_.merges.push_back(read_merge(merge, index, parts_.merges.size()));
  }
}

// "left right", or ["left", "right"] in files of tokenizers 0.20 and later.
Merge JsonReader::read_merge(const Value& merge, const TokenIndex& index, size_t number) const {
  const auto place = [number] { return fmt::format("model.merges[{}]", number); };
  std::string_view left, right;
  simdjson::dom::array pair;
  if (merge.get(left) == simdjson::SUCCESS) {
    const size_t space = std::min(left.find(' '), left.size());
    right = left.substr(std::min(space + 1, left.size()));
    left = left.substr(0, space);
  } else if (merge.get(pair) == simdjson::SUCCESS && pair.size() == 2) {
    if (pair.at(0).get(left) != simdjson::SUCCESS || pair.at(1).get(right) != simdjson::SUCCESS) {
      left = right = {};
    }
  }
  if (left.empty() || right.empty()) {
    fields_.fail(place(), fmt::format("expected two tokens, found {}", shown(merge)));
  }
  const auto bytes_of = [&](std::string_view text) {
    std::optional<std::string> bytes = alphabet_.to_bytes(text);
    if (!bytes) fields_.fail(place(), "expected characters of the byte-level alphabet only");
    return *std::move(bytes);
  };
  const auto find = [&](const std::string& bytes) {
    const int32_t id = index.find(bytes);
    if (id != -1) return id;
    fields_.fail(place(), fmt::format("{} is no token of model.vocab",
                                      shown_text(alphabet_.to_text(bytes))));
  };
  const std::string left_bytes = bytes_of(left);
  const std::string right_bytes = bytes_of(right);
  return {find(left_bytes), find(right_bytes), find(left_bytes + right_bytes),
          static_cast<uint32_t>(number)};
}

TokenizerParts JsonReader::read(const std::string& text) {
  const json root = read_root(text);
  fields_.expect_keys(root, "top level",
                      {"version", "truncation", "padding", "added_tokens", "normalizer",
                       "pre_tokenizer", "post_processor", "decoder", "model"});
  fields_.expect_unset(root, "top level", "truncation");
  fields_.expect_unset(root, "top level", "padding");
  read_normalizer(root);
  fields_.expect(fields_.field(root, "top level", "decoder"), "decoder", "type", "ByteLevel");
  read_pre_tokenizer(root);
  const json& model = fields_.field(root, "top level", "model");
  check_model(model);
  parts_.whole_pieces_first = fields_.flag(model, "model", "ignore_merges", false);
  read_specials(root);
  (void)fields_.field(model, "model", "vocab");
  read_vocabulary();
  (void)fields_.field(model, "model", "merges");
  read_merges();
  return std::move(parts_);
}

}  // namespace

TokenizerParts parse_tokenizer_json(const std::string& text, const std::string& origin) {
  return JsonReader(origin).read(text);
}

}  // namespace phalanx
