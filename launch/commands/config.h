#pragma once
// `phalanx config`: checks a configuration and prints it resolved, or explains the fields.
// Local, one process; output on stdout. Errors leave as exceptions.
#include <CLI/App.hpp>

namespace phalanx {

void add_config_command(CLI::App& app);

}  // namespace phalanx
