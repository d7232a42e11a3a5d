#pragma once
// Strict reading of the JSON files that data/ writes: every value with its type and range checked,
// every refusal with its place in the file.
// Local, pure. JsonFields refers to the object it reads. Errors: std::invalid_argument
// ("web/dataset.json: shards[3]: tokens: expected a whole number from 0 to ..., found -1").
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace phalanx {

using Json = nlohmann::ordered_json;

/// Sums of as many counts as fit a file stay below 2^63.
inline constexpr int64_t kMaxJsonCount = int64_t{1} << 60;

[[nodiscard]] Json parse_json(std::string_view json, const std::string& where);

[[noreturn]] void refuse(const std::string& place, const std::string& expected,
                         const std::string& found);

/// The value as messages show it: a list or an object is named, not printed.
[[nodiscard]] std::string shown(const Json& value);

/// A JSON object with its place in the file.
class JsonFields {
 public:
  JsonFields(const Json& object, std::string place);

  std::string place(std::string_view key) const;
  bool has(const char* key) const { return object_.contains(key); }
  const Json& at(const char* key) const;
  std::string text(const char* key) const;
  int64_t count(const char* key, int64_t low = 0, int64_t high = kMaxJsonCount) const;
  bool flag(const char* key) const;
  /// 16 hexadecimal digits.
  uint64_t hash(const char* key) const;
  const Json& list(const char* key) const;

 private:
  const Json& object_;
  std::string place_;
};

}  // namespace phalanx
