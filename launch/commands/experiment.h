#pragma once
// `phalanx experiment FILE`: many runs of one configuration, and the report that compares them.
// Local.
#include <CLI/CLI.hpp>

namespace phalanx {

void add_experiment_command(CLI::App& app);

}  // namespace phalanx
