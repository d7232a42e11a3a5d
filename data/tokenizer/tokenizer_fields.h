// The fields of a tokenizer.json, read strictly: what is missing, unknown or another value than the
// one expected is refused. Local. Errors: std::invalid_argument with file, place, what was expected
// and found ("t.json: model.type: expected \"BPE\", found \"Unigram\"").
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace phalanx {

class TokenizerFields {
 public:
  // `origin`: the file's name; must outlive the object.
  explicit TokenizerFields(const std::string& origin) : origin_(origin) {}

  // As messages show it: ASCII, the first 60 characters.
  static std::string shown(const nlohmann::json& value);

  [[noreturn]] void fail(const std::string& place, const std::string& problem) const;

  const nlohmann::json& field(const nlohmann::json& object, const std::string& place,
                              const char* key) const;
  void expect(const nlohmann::json& object, const std::string& place, const char* key,
              const nlohmann::json& value) const;
  void expect_unset(const nlohmann::json& object, const std::string& place, const char* key) const;
  void expect_keys(const nlohmann::json& object, const std::string& place,
                   std::initializer_list<std::string_view> known) const;
  // `missing` where there is no such field.
  bool flag(const nlohmann::json& object, const std::string& place, const char* key,
            bool missing) const;
  int32_t read_id(const nlohmann::json& value, const std::string& place) const;

 private:
  const std::string& origin_;
};

}  // namespace phalanx
