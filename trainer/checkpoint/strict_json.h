#pragma once
// Fields of JSON from a file that may be damaged: a missing one and one of another type are errors
// with a place, as are doubled keys and deep nesting (parse_strict_json()).
//
// Local; values only. Errors: std::invalid_argument beginning with `where`.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "data/strict_json.h"

namespace phalanx {

/// Member `key` of an object.
[[nodiscard]] const nlohmann::json& member(const nlohmann::json& object, const char* key,
                                           const std::string& where);
/// `value` itself, which has to be one: iterating over anything else would find nothing, or itself.
[[nodiscard]] const nlohmann::json& object(const nlohmann::json& value, const std::string& where);
[[nodiscard]] const nlohmann::json& array(const nlohmann::json& value, const std::string& where);
[[nodiscard]] int64_t integer(const nlohmann::json& value, const std::string& where);
[[nodiscard]] std::string text(const nlohmann::json& value, const std::string& where);

/// "WHERE: expected EXPECTED, found VALUE".
[[noreturn]] void refuse_json(const std::string& where, const char* expected,
                              const nlohmann::json& found);

}  // namespace phalanx
