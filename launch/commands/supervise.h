#pragma once
// `phalanx supervise`: a training command, restarted when it dies or hangs.
#include <CLI/CLI.hpp>

namespace phalanx {

void add_supervise_command(CLI::App& app);

}  // namespace phalanx
