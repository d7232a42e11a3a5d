#pragma once
// `phalanx data pack` and `phalanx data inspect`. Local: no rank but this process.
// Errors leave as exceptions; main turns them into a message and an exit code.
#include <CLI/App.hpp>

namespace phalanx {

void add_data_command(CLI::App& app);

}  // namespace phalanx
