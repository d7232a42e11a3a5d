#pragma once
// Lines of JSON that scripts hand to a command. Local, pure. Errors: std::invalid_argument led by
// `place`, short whatever the line's length.
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace phalanx {

nlohmann::json parse_line(const std::string& line, const std::string& place);

/// The value for a message, cut when it is long.
std::string shown(const nlohmann::json& value);

}  // namespace phalanx
