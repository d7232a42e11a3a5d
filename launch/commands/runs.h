#pragma once
// `phalanx runs`: the runs of a folder, with state, progress, last loss and why they ended. Local,
// one process; output on stdout. Errors leave as exceptions.
#include <CLI/App.hpp>

namespace phalanx {

void add_runs_command(CLI::App& app);

}  // namespace phalanx
