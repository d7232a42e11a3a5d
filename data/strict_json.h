#pragma once
// JSON from a file that may be damaged: doubled keys, deep nesting and a zero byte are errors with
// a place, never a silent choice. Whether a document has the right fields is for its reader to say.
//
// Local; values only. Memory is a small multiple of the text's. Errors: std::invalid_argument
// beginning with `where`.
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace phalanx {

[[nodiscard]] nlohmann::json parse_strict_json(std::string_view text, const std::string& where,
                                               int max_depth = 32);

}  // namespace phalanx
