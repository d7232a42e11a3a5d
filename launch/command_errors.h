#pragma once
// What to say about a command line that the parser refuses: one message with the nearest name that
// there is, and where the names are listed. Local, pure.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace phalanx {

/// `words` are the arguments after the program's name.
[[nodiscard]] std::string command_line_error(const CLI::App& app, const CLI::Error& error,
                                             const std::vector<std::string>& words);

/// Accepts whole numbers from `low` on: "--step: expected at least 1, found 0".
[[nodiscard]] CLI::Validator at_least(int64_t low);

}  // namespace phalanx
