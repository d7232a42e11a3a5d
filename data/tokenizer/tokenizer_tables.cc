#include "data/tokenizer/tokenizer_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <utility>

namespace phalanx {
namespace {

using nlohmann::json;
using Value = simdjson::dom::element;

std::string shown(const Value& value) {
  return TokenizerFields::shown(json::parse(simdjson::minify(value)));
}
std::string shown_text(std::string_view text) { return TokenizerFields::shown(json(text)); }

}  // namespace

void TokenizerTables::add_special(const SpecialToken& special, const std::string& place) {
  if (!special_ids_.emplace(special.content, special.id).second) {
    fields_.fail(place + ".content",
                 fmt::format("{} was added before", shown_text(special.content)));
  }
  if (!place_token(special.id, special.content)) {
    fields_.fail(place + ".id", fmt::format("id {} is taken by another token", special.id));
  }
}

void TokenizerTables::read_vocabulary(const Value& value) {
  simdjson::dom::object vocabulary;
  if (value.get(vocabulary) != simdjson::SUCCESS) {
    fields_.fail("model.vocab", fmt::format("expected an object, found {}", shown(value)));
  }
  for (const auto& [text, id] : vocabulary) read_token(text, id);
}

void TokenizerTables::read_token(std::string_view text, const Value& value) {
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

bool TokenizerTables::place_token(int32_t id, std::string bytes) {
  const auto index = static_cast<size_t>(id);
  if (index >= parts_.tokens.size()) parts_.tokens.resize(index + 1);
  if (!parts_.tokens[index].empty()) return false;
  parts_.tokens[index] = std::move(bytes);
  return true;
}

void TokenizerTables::read_merges(const Value& value) {
  const TokenIndex index(parts_.tokens, ordinary_);
  for (const int32_t id : ordinary_) {
    const std::string& token = parts_.tokens[static_cast<size_t>(id)];
    if (index.find(token) == id) continue;
    throw std::invalid_argument(
        fmt::format("{}: key {} occurs twice", origin_, alphabet_.to_text(token)));
  }
  simdjson::dom::array merges;
  if (value.get(merges) != simdjson::SUCCESS) {
    fields_.fail("model.merges", fmt::format("expected an array, found {}", shown(value)));
  }
  for (const Value& merge : merges) {
    parts_.merges.push_back(read_merge(merge, index, parts_.merges.size()));
  }
}

// "left right", or ["left", "right"] in files of tokenizers 0.20 and later.
Merge TokenizerTables::read_merge(const Value& merge, const TokenIndex& index,
                                  size_t number) const {
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

}  // namespace phalanx
