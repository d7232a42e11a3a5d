// tokenizer.json -> TokenizerParts. The vocabulary and the merges, nearly all of a file, are read
// with simdjson (tokenizer_tables.h); the rest as nlohmann's values, which can be compared and
// shown.
#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "data/strict_json.h"
#include "data/tokenizer/tokenizer_fields.h"
#include "data/tokenizer/tokenizer_file.h"
#include "data/tokenizer/tokenizer_tables.h"

namespace phalanx {
namespace {

using nlohmann::json;
using Value = simdjson::dom::element;

constexpr int kMaxDepth = 16;  // no tokenizer.json is as deep
std::string shown(const json& value) { return TokenizerFields::shown(value); }

class JsonReader {
 public:
  explicit JsonReader(const std::string& origin)
      : origin_(origin), fields_(origin), tables_(origin, parts_) {}

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

  const std::string& origin_;
  TokenizerFields fields_;
  simdjson::dom::parser parser_;                     // owns what values refer to
  std::map<std::string, Value, std::less<>> large_;  // model.vocab and model.merges
  TokenizerParts parts_;
  TokenizerTables tables_;  // fills parts_
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
    tables_.add_special(special, place);
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
  tables_.read_vocabulary(large_.at("vocab"));
  (void)fields_.field(model, "model", "merges");
  tables_.read_merges(large_.at("merges"));
  return std::move(parts_);
}

}  // namespace

TokenizerParts parse_tokenizer_json(const std::string& text, const std::string& origin) {
  return JsonReader(origin).read(text);
}

}  // namespace phalanx
