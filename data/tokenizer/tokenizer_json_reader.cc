// tokenizer.json -> TokenizerParts.
#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "data/strict_json.h"
#include "data/tokenizer/byte_alphabet.h"
#include "data/tokenizer/tokenizer_file.h"

namespace phalanx {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 16;  // no tokenizer.json is as deep
constexpr size_t kShownChars = 60;

class JsonReader {
 public:
  explicit JsonReader(const std::string& origin) : origin_(origin) {}

  TokenizerParts read(const std::string& text);

 private:
  [[noreturn]] void fail(const std::string& place, const std::string& problem) const {
    throw std::invalid_argument(fmt::format("{}: {}: {}", origin_, place, problem));
  }
  static std::string shown(const json& value) {
    std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
    if (text.size() > kShownChars) text = text.substr(0, kShownChars) + "...";
    return text;
  }

  const json& field(const json& object, const std::string& place, const char* key) const;
  void expect(const json& object, const std::string& place, const char* key,
              const json& value) const;
  void expect_unset(const json& object, const std::string& place, const char* key) const;
  void expect_keys(const json& object, const std::string& place,
                   std::initializer_list<std::string_view> known) const;
  bool flag(const json& object, const std::string& place, const char* key) const;
  int32_t read_id(const json& value, const std::string& place) const;
  void read_pre_tokenizer(const json& root);
  void read_specials(const json& root);
  void check_model(const json& model) const;
  void read_vocabulary(const json& vocabulary);
  void read_merges(const json& merges);
  std::pair<std::string, std::string> read_pair(const json& merge, const std::string& place) const;
  int32_t merge_token(const std::string& bytes, const std::string& place) const;
  std::string token_bytes(const std::string& text, const std::string& place) const;
  void place_token(int32_t id, std::string bytes, const std::string& place);

  const std::string& origin_;
  ByteAlphabet alphabet_;
  TokenizerParts parts_;
  std::unordered_map<std::string, int32_t> special_ids_;  // by content
  std::unordered_map<std::string, int32_t> ids_;          // of ordinary tokens, by bytes
};

const json& JsonReader::field(const json& object, const std::string& place, const char* key) const {
  if (!object.is_object()) fail(place, fmt::format("expected an object, found {}", shown(object)));
  const auto found = object.find(key);
  if (found == object.end()) fail(place, fmt::format("field \"{}\" is missing", key));
  return *found;
}

void JsonReader::expect(const json& object, const std::string& place, const char* key,
                        const json& value) const {
  const json& found = field(object, place, key);
  if (found != value) {
    fail(fmt::format("{}.{}", place, key),
         fmt::format("expected {}, found {}", shown(value), shown(found)));
  }
}

// Null, false and "" mean the same as a missing field.
void JsonReader::expect_unset(const json& object, const std::string& place, const char* key) const {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null() || *found == false || *found == "") return;
  fail(fmt::format("{}.{}", place, key),
       fmt::format("expected none, found {}, which is not supported", shown(*found)));
}

void JsonReader::expect_keys(const json& object, const std::string& place,
                             std::initializer_list<std::string_view> known) const {
  if (!object.is_object()) fail(place, fmt::format("expected an object, found {}", shown(object)));
  for (const auto& item : object.items()) {
    if (std::find(known.begin(), known.end(), item.key()) == known.end()) {
      fail(place, fmt::format("unknown field {}", shown(json(item.key()))));
    }
  }
}

bool JsonReader::flag(const json& object, const std::string& place, const char* key) const {
  const auto found = object.find(key);
  if (found == object.end()) return false;
  if (!found->is_boolean()) {
    fail(fmt::format("{}.{}", place, key),
         fmt::format("expected true or false, found {}", shown(*found)));
  }
  return found->get<bool>();
}

int32_t JsonReader::read_id(const json& value, const std::string& place) const {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > static_cast<uint64_t>(kMaxTokenId)) {
    fail(place, fmt::format("expected an id of 0..{}, found {}", kMaxTokenId, shown(value)));
  }
  return static_cast<int32_t>(value.get<uint64_t>());
}

void JsonReader::read_pre_tokenizer(const json& root) {
  const std::string place = "pre_tokenizer";
  const json& pre_tokenizer = field(root, "top level", "pre_tokenizer");
  expect(pre_tokenizer, place, "type", "Sequence");
  const json& steps = field(pre_tokenizer, place, "pretokenizers");
  if (!steps.is_array() || steps.size() != 2) {
    fail(place + ".pretokenizers", "expected two steps: Split and ByteLevel");
  }
  const std::string split_place = place + ".pretokenizers[0]";
  expect(steps[0], split_place, "type", "Split");
  const json& regex =
      field(field(steps[0], split_place, "pattern"), split_place + ".pattern", "Regex");
  if (regex == split_pattern_regex(SplitPattern::kCl100k)) {
    parts_.pattern = SplitPattern::kCl100k;
  } else if (regex == split_pattern_regex(SplitPattern::kCl100kTiktoken)) {
    parts_.pattern = SplitPattern::kCl100kTiktoken;
  } else {
    fail(split_place + ".pattern.Regex",
         fmt::format("expected {}, found {}",
                     json(split_pattern_regex(SplitPattern::kCl100k)).dump(), regex.dump()));
  }
  // The pattern covers every text, so both ways to say "cut here" are the same.
  const bool removed = field(steps[0], split_place, "behavior") == "Removed";
  expect(steps[0], split_place, "behavior", removed ? "Removed" : "Isolated");
  expect(steps[0], split_place, "invert", removed);
  const std::string byte_place = place + ".pretokenizers[1]";
  expect(steps[1], byte_place, "type", "ByteLevel");
  expect(steps[1], byte_place, "add_prefix_space", false);
  expect(steps[1], byte_place, "use_regex", false);
}

void JsonReader::read_specials(const json& root) {
  const json& added = field(root, "top level", "added_tokens");
  if (!added.is_array())
    fail("added_tokens", fmt::format("expected an array, found {}", shown(added)));
  for (size_t i = 0; i < added.size(); ++i) {
    const std::string place = fmt::format("added_tokens[{}]", i);
    SpecialToken special;
    special.id = read_id(field(added[i], place, "id"), place + ".id");
    const json& content = field(added[i], place, "content");
    if (!content.is_string() || content.get_ref<const std::string&>().empty()) {
      fail(place + ".content",
           fmt::format("expected a string that is not empty, found {}", shown(content)));
    }
    special.content = content.get<std::string>();
    special.strip_left = flag(added[i], place, "lstrip");
    special.strip_right = flag(added[i], place, "rstrip");
    expect_unset(added[i], place, "single_word");
    if (!special_ids_.emplace(special.content, special.id).second) {
      fail(place + ".content", fmt::format("{} was added before", shown(content)));
    }
    place_token(special.id, special.content, place + ".id");
    parts_.specials.push_back(std::move(special));
  }
}

void JsonReader::check_model(const json& model) const {
  expect_keys(model, "model",
              {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
               "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"});
  expect(model, "model", "type", "BPE");
  for (const char* key : {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                          "byte_fallback"}) {
    expect_unset(model, "model", key);
  }
}

void JsonReader::read_vocabulary(const json& vocabulary) {
  if (!vocabulary.is_object()) {
    fail("model.vocab", fmt::format("expected an object, found {}", shown(vocabulary)));
  }
  for (const auto& item : vocabulary.items()) {
    const std::string place = fmt::format("model.vocab[{}]", shown(json(item.key())));
    const int32_t id = read_id(item.value(), place);
    const auto special = special_ids_.find(item.key());
    if (special != special_ids_.end()) {
      if (special->second == id) continue;
      fail(place, fmt::format("expected id {} as in added_tokens, found {}", special->second, id));
    }
    std::string bytes = token_bytes(item.key(), place);
    ids_.emplace(bytes, id);
    place_token(id, std::move(bytes), place);
  }
}

std::string JsonReader::token_bytes(const std::string& text, const std::string& place) const {
  std::optional<std::string> bytes = alphabet_.to_bytes(text);
  if (!bytes || bytes->empty()) fail(place, "expected characters of the byte-level alphabet only");
  return *std::move(bytes);
}

void JsonReader::place_token(int32_t id, std::string bytes, const std::string& place) {
  const auto index = static_cast<size_t>(id);
  if (index >= parts_.tokens.size()) parts_.tokens.resize(index + 1);
  if (!parts_.tokens[index].empty())
    fail(place, fmt::format("id {} is taken by another token", id));
  parts_.tokens[index] = std::move(bytes);
}

void JsonReader::read_merges(const json& merges) {
  if (!merges.is_array()) {
    fail("model.merges", fmt::format("expected an array, found {}", shown(merges)));
  }
  parts_.merges.reserve(merges.size());
  for (size_t i = 0; i < merges.size(); ++i) {
    const std::string place = fmt::format("model.merges[{}]", i);
    auto [left, right] = read_pair(merges[i], place);
    left = token_bytes(left, place);
    right = token_bytes(right, place);
    Merge merge;
    merge.left = merge_token(left, place);
    merge.right = merge_token(right, place);
    merge.result = merge_token(left + right, place);
    merge.rank = static_cast<uint32_t>(i);
    parts_.merges.push_back(merge);
  }
}

// "left right", or ["left", "right"] in files of tokenizers 0.20 and later.
std::pair<std::string, std::string> JsonReader::read_pair(const json& merge,
                                                          const std::string& place) const {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  }
  if (merge.is_string()) {
    const auto& text = merge.get_ref<const std::string&>();
    const size_t space = text.find(' ');
    if (space != std::string::npos) return {text.substr(0, space), text.substr(space + 1)};
  }
  fail(place, fmt::format("expected two tokens, found {}", shown(merge)));
}

int32_t JsonReader::merge_token(const std::string& bytes, const std::string& place) const {
  const auto found = ids_.find(bytes);
  if (found == ids_.end()) {
    fail(place,
         fmt::format("{} is no token of model.vocab", shown(json(alphabet_.to_text(bytes)))));
  }
  return found->second;
}

TokenizerParts JsonReader::read(const std::string& text) {
  const json root = parse_strict_json(text, origin_, kMaxDepth);
  expect_keys(root, "top level",
              {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
               "post_processor", "decoder", "model"});
  expect_unset(root, "top level", "truncation");
  expect_unset(root, "top level", "padding");
  expect_unset(root, "top level", "normalizer");
  expect(field(root, "top level", "decoder"), "decoder", "type", "ByteLevel");
  read_pre_tokenizer(root);
  const json& model = field(root, "top level", "model");
  check_model(model);
  parts_.whole_pieces_first = flag(model, "model", "ignore_merges");
  read_specials(root);
  read_vocabulary(field(model, "model", "vocab"));
  read_merges(field(model, "model", "merges"));
  return std::move(parts_);
}

}  // namespace

TokenizerParts parse_tokenizer_json(const std::string& text, const std::string& origin) {
  return JsonReader(origin).read(text);
}

}  // namespace phalanx
