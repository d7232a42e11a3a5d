#include "data/tokenizer/tokenizer_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "data/tokenizer/tokenizer.h"

namespace phalanx {

using nlohmann::json;

std::string TokenizerFields::shown(const json& value) {
  constexpr size_t kShownChars = 60;
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (text.size() > kShownChars) text = text.substr(0, kShownChars) + "...";
  return text;
}

void TokenizerFields::fail(const std::string& place, const std::string& problem) const {
  throw std::invalid_argument(fmt::format("{}: {}: {}", origin_, place, problem));
}

const json& TokenizerFields::field(const json& object, const std::string& place,
                                   const char* key) const {
  if (!object.is_object()) fail(place, fmt::format("expected an object, found {}", shown(object)));
  const auto found = object.find(key);
  if (found == object.end()) fail(place, fmt::format("field \"{}\" is missing", key));
  return *found;
}

void TokenizerFields::expect(const json& object, const std::string& place, const char* key,
                             const json& value) const {
  const json& found = field(object, place, key);
  if (found != value) {
    fail(fmt::format("{}.{}", place, key),
         fmt::format("expected {}, found {}", shown(value), shown(found)));
  }
}

// Null, false and "" mean the same as a missing field.
void TokenizerFields::expect_unset(const json& object, const std::string& place,
                                   const char* key) const {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null() || *found == false || *found == "") return;
  fail(fmt::format("{}.{}", place, key),
       fmt::format("expected none, found {}, which is not supported", shown(*found)));
}

void TokenizerFields::expect_keys(const json& object, const std::string& place,
                                  std::initializer_list<std::string_view> known) const {
  if (!object.is_object()) fail(place, fmt::format("expected an object, found {}", shown(object)));
  for (const auto& item : object.items()) {
    if (std::find(known.begin(), known.end(), item.key()) == known.end()) {
      fail(place, fmt::format("unknown field {}", shown(json(item.key()))));
    }
  }
}

bool TokenizerFields::flag(const json& object, const std::string& place, const char* key,
                           bool missing) const {
  const auto found = object.find(key);
  if (found == object.end()) return missing;
  if (!found->is_boolean()) {
    fail(fmt::format("{}.{}", place, key),
         fmt::format("expected true or false, found {}", shown(*found)));
  }
  return found->get<bool>();
}

int32_t TokenizerFields::read_id(const json& value, const std::string& place) const {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > static_cast<uint64_t>(kMaxTokenId)) {
    fail(place, fmt::format("expected an id of 0..{}, found {}", kMaxTokenId, shown(value)));
  }
  return static_cast<int32_t>(value.get<uint64_t>());
}

}  // namespace phalanx
