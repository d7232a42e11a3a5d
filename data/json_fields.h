#pragma once
// Strict reading of our own JSON files (manifests of data sets and checkpoints): every value with
// its type and range checked, every refusal with its place in the file. Local, pure. Values and
// fields refer to the document they are read from. Errors: std::invalid_argument
// ("web/dataset.json: shards[3]: tokens: expected a whole number from 0 to ..., found -1");
// std::bad_alloc, but the first document of a process chooses the parser for its processor, and
// where there is no memory for that the program ends (simdjson's parser::allocate is noexcept).
#include <simdjson.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace phalanx {

/// What is written.
using Json = nlohmann::ordered_json;
/// What is read: a start parses a hundred manifests, and this takes a tenth of the time.
using JsonValue = simdjson::dom::element;

/// Sums of as many counts as fit a file stay below 2^63.
inline constexpr int64_t kMaxJsonCount = int64_t{1} << 60;

class JsonDocument {
 public:
  JsonDocument(std::string_view json, const std::string& where);
  const JsonValue& root() const { return root_; }

 private:
  simdjson::dom::parser parser_;  // owns what values refer to
  JsonValue root_;
};

[[noreturn]] void refuse(const std::string& place, const std::string& expected,
                         const std::string& found);

/// The value as messages show it: a list or an object is named, not printed.
[[nodiscard]] std::string shown(const JsonValue& value);

/// Nothing unless the value is a whole number of that range.
[[nodiscard]] std::optional<int64_t> find_count(const JsonValue& value, int64_t low, int64_t high);
/// Nothing unless the value is 16 hexadecimal digits.
[[nodiscard]] std::optional<uint64_t> find_hash(const JsonValue& value);
[[noreturn]] void refuse_count(const JsonValue& value, const std::string& place, int64_t low,
                               int64_t high);
[[noreturn]] void refuse_hash(const JsonValue& value, const std::string& place);

/// Of a list. place() makes the place for a message: manifests are long, and few values are
/// refused.
template <typename Place>
[[nodiscard]] int64_t json_count(const JsonValue& value, const Place& place, int64_t low = 0,
                                 int64_t high = kMaxJsonCount) {
  const std::optional<int64_t> count = find_count(value, low, high);
  if (!count) refuse_count(value, place(), low, high);
  return *count;
}
template <typename Place>
[[nodiscard]] uint64_t json_hash(const JsonValue& value, const Place& place) {
  const std::optional<uint64_t> hash = find_hash(value);
  if (!hash) refuse_hash(value, place());
  return *hash;
}

/// A JSON object with its place in the file.
class JsonFields {
 public:
  JsonFields(const JsonValue& object, std::string place);

  std::string place(std::string_view key) const;
  bool has(const char* key) const { return object_[key].error() == simdjson::SUCCESS; }
  JsonValue at(const char* key) const;
  std::string text(const char* key) const;
  int64_t count(const char* key, int64_t low = 0, int64_t high = kMaxJsonCount) const;
  /// Any number of 64 bits without a sign.
  uint64_t seed(const char* key) const;
  double number(const char* key) const;
  bool flag(const char* key) const;
  uint64_t hash(const char* key) const;
  simdjson::dom::array list(const char* key) const;
  /// Each with its key.
  const simdjson::dom::object& members() const { return object_; }

 private:
  simdjson::dom::object object_;
  std::string place_;
};

}  // namespace phalanx
