#pragma once
// JSON from a file that may be damaged: doubled keys, deep nesting and wrong types are errors with
// a place, never a silent choice.
//
// Local; values only. Errors: std::invalid_argument beginning with `where`.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace phalanx {

[[nodiscard]] nlohmann::json parse_strict_json(std::string_view text, const std::string& where);

/// Member `key` of an object.
[[nodiscard]] const nlohmann::json& member(const nlohmann::json& object, const char* key,
                                           const std::string& where);
[[nodiscard]] int64_t integer(const nlohmann::json& value, const std::string& where);
[[nodiscard]] std::string text(const nlohmann::json& value, const std::string& where);

/// "WHERE: expected EXPECTED, found VALUE".
[[noreturn]] void refuse_json(const std::string& where, const char* expected,
                              const nlohmann::json& found);

}  // namespace phalanx
