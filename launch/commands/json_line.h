#pragma once
// Lines of JSON that scripts hand to a command, and the streams they come and go by. Local, pure.
// Errors: std::invalid_argument led by `place`, short whatever the line's length;
// std::system_error of a stream that failed.
#include <cstdint>
#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace phalanx {

nlohmann::json parse_line(const std::string& line, const std::string& place);

/// The value for a message, cut when it is long.
std::string shown(const nlohmann::json& value);

/// A token's id, below `num_ids`; an array of them.
int32_t read_id(const nlohmann::json& value, int64_t num_ids, const std::string& place);
std::vector<int32_t> read_ids(const nlohmann::json& array, int64_t num_ids,
                              const std::string& place);

/// Throws if the stream has failed; its end is no failure.
void check_read(const std::istream& in);

/// Writes and flushes: a script may wait for this answer before it asks on.
void write_at_once(std::ostream& out, const std::string& text);

}  // namespace phalanx
